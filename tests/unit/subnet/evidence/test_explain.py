"""What a journal says of one hotkey: what it was asked, who answers like it, and whether it remembers public media."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neurons.commands.explain import explain
from subnet.evidence.entries.entry import Entry
from subnet.evidence.explain import Account, account
from subnet.evidence.findings import Verdict
from subnet.evidence.journal import Journal
from subnet.evidence.records import (
    DEPARTED,
    ROUND,
    RULES,
    SETTING,
    WEIGHTS,
    DepartedRecord,
    WeightsRecord,
    record,
    rules_record,
    setting_record,
)
from subnet.evidence.replay import Replayer
from subnet.evidence.state import State, StateStore, recent_places
from subnet.game.answer_table import KINDS
from subnet.game.history import History
from subnet.game.places import share_uids
from subnet.game.sampling import Sampling
from subnet.game.scoring import weights
from subnet.game.step import Round
from subnet.types import (
    Answer,
    Endpoint,
    Failure,
    Hyperparameters,
    Label,
    Modality,
    Neuron,
    Prediction,
    Snapshot,
    Submission,
)
from tests.unit.subnet.evidence.journals import played
from tests.unit.subnet.game.crowds import crowd

ROUNDS = 240
MIXED = {(modality, label): {"origin": 1.0, "fresh": 1.0} for modality in Modality for label in Label}
SAMPLING = Sampling(sample_size=16, origins=MIXED, public=("image/real/origin",))
RULES_OF = rules_record(2, "validator", SAMPLING, vpermit_tao_limit=1000.0, min_answers=24)


def rounds_of_a_crowd() -> Iterator[Round[object]]:
    """Rounds of sixteen miners, three of which are copies, every second real image from a public origin."""
    table, history = crowd(1, miners=16, rounds=ROUNDS, asked=16, copies=3, rounded=0), History()
    for number, (kind, column) in enumerate(zip(table.kinds, table.p.T, strict=True)):
        answers: dict[str, Answer] = {h: Prediction(float(p)) for h, p in zip(table.hotkeys, column, strict=True)}
        one = played(history, number, *KINDS[kind], answers)
        one = replace(one, plan=replace(one.plan, origin="origin" if number % 2 else "fresh"))
        history = one.history
        yield one


def entries(rounds: Iterator[Round[object]]) -> Iterator[Entry]:
    yield Entry(1, RULES, RULES_OF.model_dump_json(), "")
    for seq, one in enumerate(rounds, 2):
        yield Entry(seq, ROUND, record(one).model_dump_json(), "")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def copy() -> Account:
    return account(entries(rounds_of_a_crowd()), "m001")


def test_copies_are_told_of_each_other(copy: Account) -> None:
    """Its cluster, and the links that join it to others, with what they rest on."""
    assert copy.cluster == ("m000", "m001", "m002")
    assert copy.links
    assert all("m001" in (link.first, link.second) and link.shared == ROUNDS for link in copy.links)
    assert copy.likeness.pairs == 16 * 15 // 2


def test_honest_miners_have_no_cluster() -> None:
    """Nobody else is told to be like another."""
    honest = account(entries(rounds_of_a_crowd()), "m010")
    assert (honest.cluster, honest.links) == ((), ())


def test_public_media_are_counted_apart(copy: Account) -> None:
    """Real images of the public origin against those of the fresh one; kinds with one side only are left out."""
    assert copy.canaries is not None
    own = [turn for turn in copy.turns if (turn.modality, turn.label) == ("image", "real")]
    for hits, origin in ((copy.canaries.public, "origin"), (copy.canaries.fresh, "fresh")):
        asked = [turn for turn in own if turn.origin == origin]
        assert (hits.right, hits.asked) == (sum(turn.right for turn in asked), len(asked))
    assert copy.canaries.low < copy.canaries.difference < copy.canaries.high


def test_memory_shows_and_is_forgotten_with_the_hotkey() -> None:
    """Always right on what is public and a guesser elsewhere: the interval lies above 0. Who left starts anew."""
    rng, history = np.random.default_rng(2), History()
    rounds = []
    for number in range(300):
        public = number % 3 == 0
        right = public or bool(rng.random() < 0.5)
        one = played(history, number, Modality.IMAGE, Label.REAL, {"memo": Prediction(0.1 if right else 0.9)})
        one = replace(one, plan=replace(one.plan, origin="origin" if public else "fresh"))
        history = one.history
        rounds.append(one)
    written = list(entries(iter(rounds)))
    found = account(iter(written), "memo")
    assert found.canaries is not None
    assert found.canaries.low > 0.3
    assert (found.canaries.public.asked, found.canaries.fresh.asked) == (100, 200)
    gone = Entry(len(written) + 1, DEPARTED, DepartedRecord(block=1, hotkeys=("memo",)).model_dump_json(), "")
    after = played(History(), 300, Modality.IMAGE, Label.REAL, {"memo": Failure.TIMEOUT, "other": Prediction(0.1)})
    body = record(after).model_dump_json()
    back = account(iter([*written, gone, Entry(len(written) + 2, ROUND, body, "")]), "memo")
    assert back.canaries is None
    assert len(back.turns) == 1


def test_a_journal_without_rules_has_no_canaries() -> None:
    """Journals of older versions say nothing of public origins."""
    old = [entry for entry in entries(rounds_of_a_crowd()) if entry.kind == ROUND]
    assert account(iter(old), "m001").canaries is None


def test_the_command_tells_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`assay explain`, as text and as JSON, from a journal on disk."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    store = StateStore(journal)
    assert store.note(RULES, RULES_OF) is None
    for one in rounds_of_a_crowd():
        assert store.write(ROUND, record(one), State(one.plan.number + 1, one.history)) is None  # type: ignore[arg-type]
    journal.close()
    explain("m001", path, json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["cluster"] == ["m000", "m001", "m002"]
    assert facts["clusters"] == [facts["cluster"]]
    assert {"first", "second", "shared", "correlation", "errors", "expected", "p_value"} == facts["links"][0].keys()
    assert (facts["false_discovery_rate"], facts["pairs_compared"]) == (0.01, 120)
    assert {"public", "fresh", "difference", "low", "high"} == facts["canaries"].keys()
    assert facts["pay"]["paid"] == min(facts["pay"]["average"], facts["pay"]["bound"])
    assert facts["pay"]["bound"] == 1.1 * facts["score"]
    assert (facts["pay"]["weight"], facts["pay"]["sharing"]) == (None, [])
    explain("m001", path)
    text = capsys.readouterr().out
    assert "Answers like 2 others; 1% of such links are expected to be wrong" in text
    assert "On public media" in text
    assert "3 miners answering alike, in 1 cluster" in text
    assert f"reward now {facts['pay']['reward']:.4f}; the score, {facts['score']:.4f}, began at zero" in text
    assert f"paid {facts['pay']['paid']:.4f}, the " in text
    assert "no weights were set yet" in text
    explain("m010", path)
    assert "Nobody answers like it, of 15 miners compared with it" in capsys.readouterr().out


def test_who_was_not_compared_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer among compared miners: not that nobody answers like it."""
    journal = Journal(tmp_path / "journal.db")
    store = StateStore(journal)
    for one in rounds_of_a_crowd():
        assert store.write(ROUND, record(one), State(one.plan.number + 1, one.history)) is None  # type: ignore[arg-type]
    one = played(
        store.state.history, ROUNDS, Modality.IMAGE, Label.REAL, {"new": Prediction(0.1), "m010": Prediction(0.2)}
    )
    assert store.write(ROUND, record(one), State(ROUNDS + 1, one.history)) is None
    journal.close()
    explain("new", tmp_path / "journal.db")
    text = capsys.readouterr().out
    assert "Not compared yet: that takes 12 items" in text
    assert "Nobody answers like it" not in text


def taken(weights: dict[int, float]) -> WeightsRecord:
    """The chain took them."""
    return WeightsRecord(block=ROUNDS, weights=weights, submission=Submission.OK, code=None, message="", attempt=0)


def test_a_shared_place_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `share_places` in the rules three copies are paid as one, replay computes the same, and each is told so."""
    journal = Journal(tmp_path / "journal.db")
    store = StateStore(journal)
    store.note(RULES, RULES_OF.model_copy(update={"share_places": True}))
    assert store.places.clusters() == ()
    serving = Endpoint("192.0.2.1", 8091)
    neurons = tuple(Neuron(uid, f"m{uid:03}", "c", 0.0, False, serving) for uid in range(16))
    neurons += (Neuron(16, RULES_OF.hotkey, "c", 5000.0, True, None),)
    snapshot = Snapshot(2, 0, neurons, Hyperparameters(0, 0))
    store.observe(snapshot)
    for one in rounds_of_a_crowd():
        assert store.write(ROUND, record(one), State(one.plan.number + 1, one.history)) is None  # type: ignore[arg-type]
    alone = weights(store.state.history, neurons, 1000.0)
    shared = share_uids(alone, neurons, store.places.clusters())
    store.write(SETTING, setting_record(replace(snapshot, block=ROUNDS), shared, 0))
    store.write(WEIGHTS, taken(shared))
    again = recent_places(journal)
    assert again.clusters() == store.places.clusters() == (("m000", "m001", "m002"),)
    player = Replayer()
    false = [
        f for e in journal.entries() for f in player.take(e) if f.verdict is Verdict.FALSE and "plan" not in f.text
    ]
    journal.close()
    assert player.proven["settings of weights follow from the scores"] == 1, false
    player.take(Entry(ROUNDS + 5, RULES, RULES_OF.model_dump_json(), ""))
    wrong = setting_record(replace(snapshot, block=ROUNDS), shared, 1).model_dump_json()
    assert any("weights of 16 differ" in f.text for f in player.take(Entry(ROUNDS + 6, SETTING, wrong, "")))
    explain("m001", tmp_path / "journal.db", json=True)
    pay = json.loads(capsys.readouterr().out)["pay"]
    assert (pay["weight"], pay["sharing"]) == (shared[1], ["m000", "m001", "m002"])
    assert pay["weight"] < alone[1] / 2
    explain("m001", tmp_path / "journal.db")
    text = capsys.readouterr().out
    assert f"weight {shared[1]:.6f} of 1 in the last setting that the chain took, block {ROUNDS}" in text
    assert "one place, shared with m000, m002: they answer alike" in text
