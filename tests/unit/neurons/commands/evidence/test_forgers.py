"""A validator that planned its forgery: scores, weights, hashes, heads and the chain itself say what its journal says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurons.commands.evidence.verify import check
from subnet.chain.memory import MemoryChain
from subnet.chain.weights import normalise_u16
from subnet.errors import JournalBroken, StateError
from subnet.evidence.entries.entry import GENESIS, Entry, link
from subnet.evidence.findings import Verification
from subnet.evidence.proof import claims
from subnet.evidence.proof.claims import line_of
from subnet.evidence.proof.depot import Depot, publish
from subnet.evidence.records import (
    COMMITMENT,
    DEPARTED,
    ROUND,
    RULES,
    SETTING,
    SNAPSHOT,
    WEIGHTS,
    CommitmentRecord,
    RoundRecord,
    RulesRecord,
)
from subnet.evidence.records import outcomes as outcomes_of
from subnet.evidence.replay import Replayer, replay
from subnet.game.scoring import settle, weights
from subnet.types import Statement
from tests.unit.neurons.commands.evidence.rig import MINERS, VALIDATOR, Body, Change, Story, published, tell

RIVAL = MINERS[0].ss58_address
Head = Callable[[Sequence[Entry]], tuple[int, str]]
Standing = Callable[[int | None], Mapping[int, int]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("planned-story"))


def last(written: Sequence[Entry]) -> tuple[int, str]:
    return written[-1].seq, written[-1].hash


def rows(entries: Sequence[Entry], kind: str) -> list[Body]:
    return [json.loads(entry.body) for entry in entries if entry.kind == kind]


def planned(
    entries: Sequence[Entry], change: Change = lambda entry, body: body, head: Head | None = last
) -> list[Entry]:
    """`entries` as `change` gives them, with the scores, weights, heads and hashes that follow."""
    written, player, sent = list[Entry](), Replayer(), dict[int, float]()
    for entry in entries:
        body = change(entry, json.loads(entry.body))
        if body is None:
            continue
        if entry.kind == ROUND:
            played = RoundRecord.model_validate(body)
            history = settle(player.history, [] if played.void else outcomes_of(played), player._smoothing)
            for row in body["outcomes"]:
                row["score"] = history[row["hotkey"]].score
        neurons = player._snapshots.at(body["block"]) if entry.kind == SETTING else None
        if neurons and player.rules:
            sent = weights(player.history, neurons, player.rules.vpermit_tao_limit, player._smoothing)
            body["weights"] = {n.hotkey: sent[n.uid] for n in neurons if n.uid in sent}
        if entry.kind == WEIGHTS and body["weights"]:
            body["weights"] = {str(uid): weight for uid, weight in sent.items()}
        if entry.kind == COMMITMENT and head:
            body["seq"], body["head"] = head(written)
        text = json.dumps(body)
        previous = written[-1].hash if written else GENESIS
        written.append(Entry(len(written) + 1, entry.kind, text, link(previous, entry.kind, text)))
        player.take(written[-1])
    return written


def found(
    story: Story,
    entries: Sequence[Entry],
    folder: Path,
    *,
    standing: Standing | None = None,
    besides: Sequence[tuple[int, str]] = (),
    committed: Sequence[Entry] = (),
) -> Verification:
    """What a stranger finds where the chain holds the commitments of `committed`, or `entries`, and some `besides`."""
    records = [CommitmentRecord.model_validate(body) for body in rows(committed or entries, COMMITMENT)]
    lines = sorted([*((r.block, line_of(r)) for r in records if r.block is not None), *besides])
    settings = [(b["block"], {int(u): w for u, w in b["weights"].items()}) for b in rows(entries, WEIGHTS)]

    class Planned(MemoryChain):
        async def commitment(self, hotkey: str, *, at: int | None = None) -> Statement | None:
            stood = [line for line in lines if at is None or line[0] <= at]
            return Statement(stood[-1][1], stood[-1][0]) if stood else None

        async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
            if standing is not None:
                return dict(standing(at))
            stood = [sent for block, sent in settings if at is None or block <= at]
            return normalise_u16(stood[-1]) if stood else {}

    depot = published(story, entries, folder, media=False)
    return check(depot, lambda _: Planned(story.subnet, VALIDATOR.ss58_address), ThreadPoolExecutor(1))


def false(result: Verification) -> str:
    return "\n".join(f"{finding.seq}: {finding.text}" for finding in result.false)


def unproven(result: Verification) -> str:
    return "\n".join(f"{finding.seq}: {finding.text}" for finding in result.unproven)


def rival_failed(entry: Entry, body: Body) -> Body:
    for row in body.get("outcomes", ()):
        if row["hotkey"] == RIVAL:
            row |= {"p_synthetic": None, "failure": "timeout", "nonce": None, "signature": ""}
    return body


def test_a_plan_that_changes_nothing_is_proven(story: Story, tmp_path: Path) -> None:
    """What the forgeries below start from."""
    result = found(story, planned(story.entries), tmp_path)
    assert false(result) == ""
    assert dict(result.proven)["commitments name the journal's head"] == len(rows(story.entries, COMMITMENT))


def test_heads_that_bind_nothing(story: Story, tmp_path: Path) -> None:
    """Every commitment names entry 1, and afterwards a rival was made to fail in every round: all of it fits."""
    before = planned(story.entries, head=lambda written: (1, written[0].hash))
    after = planned(before, rival_failed, head=None)
    result = found(story, after, tmp_path, committed=before)
    assert "commitment 1 names entry 1, and so does not bind the epoch that it ends" in false(result)
    assert dict(result.proven)["commitments name the journal's head"] == 1


def test_a_head_before_the_journal_is_the_beginning(story: Story, tmp_path: Path) -> None:
    """Entry 0 has one hash only."""
    result = found(story, planned(story.entries, head=lambda written: (0, "ab" * 32)), tmp_path)
    assert "commitment 0 names another entry 0 than this one" in false(result)


def test_settings_behind_the_named_entry_are_bound_by_the_next(story: Story, tmp_path: Path) -> None:
    """Weights set while a commitment was under way are honest; those that the next one leaves out are not."""
    starts = [e.seq for e in story.entries if e.kind == COMMITMENT]

    def rounds_only(written: Sequence[Entry]) -> tuple[int, str]:
        return last([e for e in written if e.kind in (ROUND, RULES)] or written)

    honest = planned(story.entries, head=rounds_only)
    assert false(found(story, honest, tmp_path / "honest")) == ""
    without = [e for e in story.entries if not (e.kind == ROUND and starts[1] < e.seq < starts[2])]
    result = found(story, planned(without, head=rounds_only), tmp_path / "without")
    assert "and so does not bind the one before it" in false(result)


def test_rounds_without_an_epoch_while_a_commitment_stands(story: Story, tmp_path: Path) -> None:
    """A round whose seed was chosen is false where nothing that is recorded stood against the committed one."""

    def chosen(entry: Entry, body: Body) -> Body:
        if entry.kind == ROUND and body["number"] == 6:
            body |= {"epoch": None, "seed": 5, "label": 1}
        return body

    (one,) = [e.seq for e in story.entries if e.kind == ROUND and json.loads(e.body)["number"] == 6]
    result = found(story, planned(story.entries, chosen), tmp_path / "chosen")
    assert f"{one}: its seed is no committed one, though commitment 1 stood" in false(result)

    def all_chosen(entry: Entry, body: Body) -> Body:
        return body | {"epoch": None, "seed": 5} if entry.kind == ROUND else body

    assert "its seed is no committed one" in false(found(story, planned(story.entries, all_chosen), tmp_path / "all"))
    restarted = list(story.entries)
    restarted.insert(one - 1, story.entries[0])
    result = found(story, planned(restarted, chosen), tmp_path / "restarted")
    assert "its seed is no committed one" not in false(result)
    assert f"{one + 1}: plans: the seed was not committed, after a start" in unproven(result)


@pytest.mark.parametrize("kind", [ROUND, SETTING])
def test_blocks_lie_before_the_next_commitment(story: Story, tmp_path: Path, kind: str) -> None:
    """What is said to be of a block to come; and weights that were sent before the snapshot that they follow from."""

    def later(entry: Entry, body: Body) -> Body:
        return body | {"block": body["block"] + 50} if entry.kind == kind else body

    result = false(found(story, planned(story.entries, later), tmp_path))
    assert ", but stood before commitment" in result
    assert ("by a setting of block" in result) == (kind == SETTING)


def test_a_journal_of_two_chains(story: Story, tmp_path: Path) -> None:
    """The chain was reset under a validator: one sentence with the fix, and only what is before is published."""
    (_, second, *_) = [e.seq for e in story.entries if e.kind == COMMITMENT]

    def later(entry: Entry, body: Body) -> Body:
        late = entry.seq < second and "block" in body and body["block"] is not None
        return body | {"block": body["block"] + 1000} if late else body

    entries = planned(story.entries, later)
    player = Replayer()
    findings = [one for entry in entries for one in player.take(entry) if "stood before commitment" in one.text]
    assert ["move the state away and begin a new one" in one.text for one in findings] == [True]
    with pytest.raises(JournalBroken, match="entry .*no journal is of two chains; where the chain was reset, move"):
        replay(entries)
    rules = RulesRecord.model_validate_json(next(e.body for e in entries if e.kind == RULES))
    with pytest.raises(StateError, match=f"entry {second} is of block .*move the state away"):
        publish(Depot(tmp_path), entries, rules, None)
    manifest = Depot(tmp_path).manifest()
    assert manifest is not None
    assert manifest.last < second


def test_a_second_try_at_a_seed(story: Story, tmp_path: Path) -> None:
    """Tried, covered by a fake of the epoch before, and tried again: the very line before must stand in its block."""
    entries = planned(story.entries)
    second = rows(entries, COMMITMENT)[1]["block"]
    tried = f"assay-epoch/1 1 {'dd' * 32} {'cc' * 32} {'aa' * 32} 9"
    fake = f"assay-epoch/1 0 {'ee' * 32} - {'aa' * 32} 1"
    result = found(story, entries, tmp_path / "covered", besides=[(second - 2, tried), (second - 1, fake)])
    assert "before commitment 1 another one of epoch 0 stood" in false(result)
    again = line_of(CommitmentRecord.model_validate(rows(entries, COMMITMENT)[0]))
    result = found(story, entries, tmp_path / "again", besides=[(second - 2, tried), (second - 1, again)])
    assert "a seed was tried in between" in false(result)


def test_lines_of_other_programs_between_two_commitments(story: Story, tmp_path: Path) -> None:
    """They are named, and hide nothing: what each replaced is looked at, down to the commitment before."""
    entries = planned(story.entries)
    second = rows(entries, COMMITMENT)[1]["block"]
    tried = f"assay-epoch/1 1 {'dd' * 32} {'cc' * 32} {'aa' * 32} 9"
    others = [(second - 3, "a bucket"), (second - 1, "another")]
    result = found(story, entries, tmp_path / "honest", besides=others)
    assert false(result) == ""
    assert f"what stood before commitment 1: 'another' since {second - 1}" in unproven(result)
    result = found(story, entries, tmp_path / "tried", besides=[*others, (second - 2, tried)])
    assert "before commitment 1 the chain had committed epoch 1, the evidence epoch 0: an epoch is left out" in false(
        result
    )


def test_more_lines_than_anybody_looks_under(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many could hide any try."""
    monkeypatch.setattr(claims, "OTHERS", 2)
    entries = planned(story.entries)
    second = rows(entries, COMMITMENT)[1]["block"]
    others = [(second - away, f"line {away}") for away in (1, 2, 3)]
    assert "over 2 lines of another kind stood" in false(found(story, entries, tmp_path / "three", besides=others))
    assert false(found(story, entries, tmp_path / "two", besides=others[:2])) == ""


def test_another_text_before_the_first_commitment(story: Story, tmp_path: Path) -> None:
    """Something of another kind may hide a first try: it is named, without what a terminal would obey."""
    entries = planned(story.entries)
    first = rows(entries, COMMITMENT)[0]["block"]
    result = found(story, entries, tmp_path, besides=[(first - 1, "hello\x1b[2J")])
    assert "what stood before commitment 0: 'hello\\x1b[2J' since" in unproven(result)


def test_a_miner_that_is_said_to_have_left(story: Story, tmp_path: Path) -> None:
    """A departure in a block that no snapshot tells of does not wipe a history."""
    entries = list(story.entries)
    place = next(i for i, entry in enumerate(entries) if entry.kind == SETTING)
    entries.insert(place, Entry(0, DEPARTED, json.dumps({"block": 0, "hotkeys": [RIVAL]}), ""))
    result = false(found(story, planned(entries), tmp_path))
    assert f"{place + 1}: 1 are said to have left, but no snapshot tells of block 0" in result
    assert f"{place + 1}: {RIVAL} is said to have left, but it is in the metagraph" in result


def test_a_failure_beside_an_answer(story: Story, tmp_path: Path) -> None:
    """Signed, and scored as a failure: both cannot be."""

    def both(entry: Entry, body: Body) -> Body:
        for row in body.get("outcomes", ()):
            row["failure"] = "timeout" if row["hotkey"] == RIVAL else row["failure"]
        return body

    assert f"{RIVAL} is said to have failed, beside an answer of its own" in false(
        found(story, planned(story.entries, both), tmp_path)
    )


@pytest.mark.parametrize("name", ["rejected", "too_early", "no outcome", "nothing", "own row renamed"])
def test_weights_that_the_journal_hides(story: Story, tmp_path: Path, name: str) -> None:
    """Others stand on chain: false where they came while the journal says otherwise, named where they are older."""

    def hidden(entry: Entry, body: Body) -> Body | None:
        if entry.kind == WEIGHTS and name in ("rejected", "too_early"):
            body["submission"] = name
        if name == "own row renamed" and entry.kind == SNAPSHOT:
            for row in body["rows"]:
                row["hotkey"] = RIVAL[:-3] + "abc" if row["hotkey"] == VALIDATOR.ss58_address else row["hotkey"]
        dropped = {"no outcome": (WEIGHTS,), "nothing": (SETTING, WEIGHTS)}.get(name, ())
        return None if entry.kind in dropped else body

    entries = planned(story.entries, hidden)
    third = rows(entries, COMMITMENT)[2]["block"]
    came = found(story, entries, tmp_path / "came", standing=lambda at: {2: 65535} if at is None or at >= third else {})
    named = "the validator is not in the snapshot" if name == "own row renamed" else "other weights stood on chain"
    assert named in false(came)
    older = found(story, entries, tmp_path / "older", standing=lambda at: {2: 65535})
    if name != "own row renamed":
        assert "weights on chain: none of this evidence stand there, but older ones (uid 2: 65535)" in unproven(older)


def test_weights_that_stand_only_where_they_are_looked_for(story: Story, tmp_path: Path) -> None:
    """True ones in the blocks of settings and commitments alone, others in all the rest."""
    entries = planned(story.entries)
    settings = [(b["block"], {int(u): w for u, w in b["weights"].items()}) for b in rows(entries, WEIGHTS)]
    acted = {b["block"] for kind in (SETTING, COMMITMENT) for b in rows(entries, kind)}

    def standing(at: int | None) -> Mapping[int, int]:
        stood = [sent for block, sent in settings if at is None or block <= at]
        return {} if not stood else normalise_u16(stood[-1]) if at is None or at in acted else {2: 65535}

    assert "other weights stood on chain in block" in false(found(story, entries, tmp_path, standing=standing))


@pytest.mark.parametrize(("name", "value"), [("alpha", 1.0), ("headroom", 50.0), ("averaging", 1)])
def test_rules_in_the_middle(story: Story, tmp_path: Path, name: str, value: float) -> None:
    """A rule that changes for a while is named with its entry, there and back, and where it is not this version's."""
    entries, rules = list(story.entries), json.loads(story.entries[0].body)
    place = next(i for i, entry in enumerate(entries) if entry.kind == SETTING)
    entries[place + 1 : place + 1] = [Entry(0, RULES, json.dumps(rules), "")]
    entries.insert(place, Entry(0, RULES, json.dumps({**rules, name: value}), ""))
    result = unproven(found(story, planned(entries), tmp_path))
    assert f"{place + 1}: why the rules changed: {name} (from {rules.get(name)} to {value})" in result
    assert f"{place + 3}: why the rules changed: {name} (from {value} to" in result
    assert f"{place + 1}: other rules than this version's: {name} {value}" in result


@pytest.mark.parametrize("dropped", [False, True])
def test_a_metagraph_for_a_moment(story: Story, tmp_path: Path, dropped: bool) -> None:
    """A rival that counts as a validator, or is not there, for one setting: the chain was another then."""
    entries = list(story.entries)
    place = max(i for i, entry in enumerate(entries) if entry.kind == SETTING)
    body = json.loads(next(entry.body for entry in entries if entry.kind == SNAPSHOT))
    for row in body["rows"]:
        if row["hotkey"] == RIVAL:
            row |= {"permit": True, "stake": 1e9}
    kept = [row for row in body["rows"] if not (dropped and row["hotkey"] == RIVAL)]
    block = json.loads(entries[place].body)["block"]
    moment = json.dumps({**body, "block": block, "rows": kept, "size": len(kept), "whole": True})
    entries.insert(place, Entry(0, SNAPSHOT, moment, ""))
    uid = next(row["uid"] for row in body["rows"] if row["hotkey"] == RIVAL)
    told = "is left out" if dropped else f"({RIVAL}) has a permit, on chain not"
    result = found(story, planned(entries), tmp_path)
    assert f"{place + 1}: the metagraph of block {block} is not the chain's: uid {uid} {told}" in false(result)
    offline = check(published(story, planned(entries), tmp_path / "offline", media=False), None, ThreadPoolExecutor(1))
    assert f"{place + 1}: the metagraph: hotkeys or who counts as a validator changed, as recorded" in unproven(offline)
