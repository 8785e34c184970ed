"""What a site keeps of a journal agrees with what is computed from all of it, and has its bounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.web import facts
from neurons.web.book import NOBODY
from neurons.web.facts import Facts
from neurons.web.summary import KINDS, OTHERS, POINTS, MinerSummary, Summary, Trend
from subnet.evidence.entries.entry import Entry
from subnet.evidence.explain import Turn, account
from subnet.evidence.records import (
    DEPARTED,
    ROUND,
    RULES,
    SETTING,
    SNAPSHOT,
    WEIGHTS,
    DepartedRecord,
    RoundRecord,
    SettingRecord,
    record,
)
from subnet.evidence.replay import replay
from subnet.game.history import History
from subnet.game.scoring import ALPHA, reward
from subnet.types import Label, Modality, Prediction
from tests.unit.neurons.commands.evidence.rig import VALIDATOR, Body, Story, rewritten, tell
from tests.unit.subnet.evidence.journals import played


def summary_of(entries: list[Entry]) -> Summary:
    summary = Summary()
    for entry in entries:
        summary.take(entry)
    return summary


def reward_of(summary: Summary, hotkey: str) -> float:
    return reward(summary.player.history[hotkey])


def test_a_miner_is_told_the_same_as_by_explain(story: Story) -> None:
    """Up to the last epoch that is over: tallies, answers, score, rank, payment and weight."""
    last = [e for e in story.entries if e.kind == "commitment"][-1]
    entries = [e for e in story.entries if e.seq <= last.seq]
    summary = summary_of(entries)
    for hotkey in summary.player.history.standings:
        told, found = facts.miner(summary, NOBODY, hotkey, {}), account(entries, hotkey)
        assert told is not None
        assert told["by"] == {
            key: {
                kind: {"asked": t.asked, "right": t.right, "failed": t.failed, "share": t.share}
                for kind, t in kinds.items()
            }
            for key, kinds in found.by.items()
        }
        assert [turn["number"] for turn in told["turns"]] == [turn.number for turn in found.turns]
        assert (told["score"], told["place"], told["miners"]) == (found.score.value, found.rank, found.miners)
        assert (told["paid"], told["weight"], told["average"]) == (found.pay.paid, found.pay.weight, found.pay.average)
        assert (
            (told["reward"], told["alpha"])
            == (found.pay.reward, found.pay.alpha)
            == (reward_of(summary, hotkey), ALPHA)
        )
        assert told["trend"][-1][1] == found.score.value


@pytest.mark.parametrize("fate", ["rejected", "too_early", "ambiguous", None])
def test_weights_are_those_that_the_chain_took(story: Story, fate: str | None) -> None:
    """The last setting was refused, or nothing says what became of it: the one before it is told, and its block."""
    *_, before, last = [e.seq for e in story.entries if e.kind == SETTING]

    def refused(entry: Entry, body: Body) -> Body | None:
        if entry.kind == WEIGHTS and entry.seq > last:
            return {**body, "submission": fate} if fate else None
        return body

    entries = rewritten([e for e in story.entries if e.seq <= last + 1], refused)
    took = SettingRecord.model_validate_json(story.entries[before - 1].body)
    summary = summary_of(entries)
    assert facts.validator(summary, {})["weights"] == took.weights
    for row in facts.scoreboard(summary, {})["miners"]:
        told = facts.miner(summary, NOBODY, row["hotkey"], {}) or {}
        pay = account(entries, row["hotkey"]).pay
        assert row["weight"] == told["weight"] == pay.weight == took.weights.get(row["hotkey"], 0.0)
        assert told["weight_block"] == pay.block == took.block


def test_the_scoreboard_has_everybody_in_order(story: Story) -> None:
    """Scores are the journal's own; shares of what would be paid sum to one; intervals hold the share."""
    board = facts.scoreboard(summary_of(list(story.entries)), {})
    scores = {h: s.score for h, s in replay(story.entries).history.standings.items()}
    assert {row["hotkey"]: row["score"] for row in board["miners"]} == scores
    assert [row["score"] for row in board["miners"]] == sorted(scores.values(), reverse=True)
    assert abs(sum(row["share"] for row in board["miners"]) - 1) < 1e-12
    for row in board["miners"]:
        recent = row["recent"]["image"]
        assert recent["low"] <= recent["share"] <= recent["high"]
        assert recent["asked"] == row["parts"]["image"]["asked"]
        assert row["recent"]["video"]["asked"] == 0
        assert row["uid"] is not None


def test_who_left_is_gone_and_who_comes_back_begins_anew() -> None:
    """Rounds from before a hotkey left do not count for it, even where they are shown after it came back."""
    history, entries = History(), list[Entry]()
    for number in range(3):
        one = played(history, number, Modality.IMAGE, Label.REAL, {"a": Prediction(0.1), "b": Prediction(0.9)})
        history = one.history
        entries.append(Entry(len(entries) + 1, ROUND, record(one).model_dump_json(), ""))
    left = DepartedRecord(block=3, hotkeys=("a",))
    entries.append(Entry(4, DEPARTED, left.model_dump_json(), ""))
    assert [row["hotkey"] for row in facts.scoreboard(summary_of(entries), {})["miners"]] == ["b"]
    history = History({name: standing for name, standing in history.standings.items() if name != "a"})
    one = played(history, 3, Modality.IMAGE, Label.REAL, {"a": Prediction(0.1), "b": Prediction(0.1)})
    entries.append(Entry(5, ROUND, record(one).model_dump_json(), ""))
    weights = '{"block":3,"weights":{},"submission":"ok","code":null,"message":""}'
    entries.append(Entry(6, "weights", weights, ""))
    summary = summary_of(entries)
    assert len(summary.rounds) == 4
    told = {name: facts.miner(summary, NOBODY, name, {}) for name in "ab"}
    assert [turn["number"] for turn in (told["a"] or {})["turns"]] == [3]
    assert [turn["number"] for turn in (told["b"] or {})["turns"]] == [0, 1, 2, 3]


@given(st.integers(0, 3000))
def test_a_trend_is_bounded_and_spans_everything(count: int) -> None:
    """However many scores come: few points, in order, from the first to the last."""
    trend = Trend()
    for number in range(count):
        trend.add(number, number / 3000)
    numbers = [number for number, _ in trend.points]
    assert len(numbers) <= POINTS
    assert numbers == sorted(set(numbers))
    if count:
        assert (numbers[0], numbers[-1]) == (0, count - 1)


def test_kinds_of_strangers_are_bounded() -> None:
    """A miner that names another detector each time fills no memory; nothing is left uncounted."""
    kept = MinerSummary()
    for number in range(3 * KINDS):
        turn = Turn(number, "image", "real", "origin", 0, 0.1, True, 0.5)
        kept.count(turn, {"detector": f"detector {number}"}, "item")
    assert len(kept.by["detector"]) == KINDS + 1
    assert kept.by["detector"][OTHERS].asked == 2 * KINDS
    assert sum(tally.asked for tally in kept.by["detector"].values()) == 3 * KINDS


def test_only_the_newest_rounds_can_be_looked_up(story: Story) -> None:
    """`keep` of them; tallies go on counting all."""
    summary = Summary(keep=3)
    for entry in story.entries:
        summary.take(entry)
    shown = [RoundRecord.model_validate_json(e.body).number for e in story.entries if e.kind == ROUND][:-1]
    assert list(summary.rounds) == shown[-3:]
    assert summary.counted == len(shown)


def test_agreement_is_between_validators_of_one_subnet(tmp_path: Path) -> None:
    """Not with oneself, nor with another subnet's; a validator that is given twice counts once."""
    alone, me = list(tell(tmp_path, commit=False).entries), VALIDATOR.ss58_address

    def journal(netuid: int, hotkey: str, *, half: bool = False) -> Facts:
        def change(entry: Entry, body: Body) -> Body:
            theirs: Body = json.loads(json.dumps(body).replace(me, hotkey))
            return {**theirs, "netuid": netuid} if entry.kind in (RULES, SNAPSHOT) else theirs

        entries = rewritten(alone, change)
        return facts.validator(summary_of(entries[: len(entries) // 2] if half else entries), {})

    assert facts.agreement([journal(34, me)]) == [None]
    assert facts.agreement([journal(34, me), journal(34, me)]) == [None, None]
    assert facts.agreement([journal(34, me), journal(77, "other")]) == [None, None]
    assert facts.agreement([journal(34, me), journal(34, "other"), {"journal": 3, "fault": "gone"}]) == [
        pytest.approx(1),
        pytest.approx(1),
        None,
    ]
    older = journal(34, "other", half=True)
    less = facts.agreement([older, journal(34, me)])[0]
    assert less is not None
    assert 0 < less < 1
    assert facts.agreement([journal(34, me), older, journal(34, "other")])[0] == pytest.approx(1)


def test_how_old_a_journal_is_shows(story: Story) -> None:
    """Every page of one says when the newest answer was asked for, and the newest block that anything tells of."""
    for entries in (story.entries[:-1], story.entries):
        summary, played = summary_of(list(entries)), [e for e in entries if e.kind == ROUND][-1]
        asked = max(row.nonce or 0 for row in RoundRecord.model_validate_json(played.body).outcomes)
        told = facts.scoreboard(summary, {})
        blocks = [json.loads(e.body).get("block") or 0 for e in entries]
        assert (told["last_answer"], told["block"]) == (asked // 10**9, max(blocks))
        assert told["block"] > json.loads(played.body)["block"] or played is entries[-1]
