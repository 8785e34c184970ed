"""What rounds, rows, items and labels say of themselves, by a validator that computed all the rest again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from subnet.evidence.entries.entry import Entry
from subnet.evidence.records import ROUND, SETTING, SNAPSHOT, WEIGHTS
from tests.unit.neurons.commands.evidence.rig import Body, Change, Story, tell
from tests.unit.neurons.commands.evidence.test_forgers import false, found, planned, unproven


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("rounds-story"))


def seq_of(story: Story, number: int) -> int:
    return next(e.seq for e in story.entries if e.kind == ROUND and json.loads(e.body)["number"] == number)


def rounds(*numbers: int, **changed: object) -> Change:
    """Changes these rounds alone."""

    def change(entry: Entry, body: Body) -> Body:
        return body | changed if entry.kind == ROUND and body["number"] in numbers else body

    return change


@pytest.mark.parametrize("word", ["nothing could be drawn", "nobody was heard", "nobody to ask", "x" * 500])
def test_no_word_voids_answers_that_were_heard(story: Story, tmp_path: Path, word: str) -> None:
    """A bad round is not void by any name."""
    result = false(found(story, planned(story.entries, rounds(5, 6, void=word)), tmp_path))
    for number in (5, 6):
        told = f"round {number} is void ({word[:80]!r}) beside answers that were heard, so it counts"
        assert f"{seq_of(story, number)}: {told}" in result


def test_rounds_in_which_nobody_was_heard_are_listed(story: Story, tmp_path: Path) -> None:
    """Nobody signs it; a round in which some were heard is not among them."""

    def unheard(entry: Entry, body: Body) -> Body:
        if entry.kind == ROUND and body["number"] in (5, 6):
            body["void"] = "nobody was heard"
            for row in body["outcomes"]:
                row |= {"p_synthetic": None, "failure": "timeout", "nonce": None, "signature": ""}
        return body

    result = found(story, planned(story.entries, unheard), tmp_path)
    assert false(result) == ""
    told = [finding.seq for finding in result.unproven if "in which nobody is said to have been heard" in finding.text]
    assert told == [seq_of(story, 5), seq_of(story, 6)]
    assert "nobody is said to have been heard" not in unproven(found(story, planned(story.entries), tmp_path / "none"))


@pytest.mark.parametrize("snapshots", [True, False])
def test_a_block_before_any_snapshot_escapes_no_plan(story: Story, tmp_path: Path, snapshots: bool) -> None:
    """The plan's fields follow from the epoch's seed, whatever metagraph is said to have stood, or none."""

    def early(entry: Entry, body: Body) -> Body | None:
        if not snapshots and entry.kind in (SNAPSHOT, SETTING, WEIGHTS):
            return None
        if entry.kind == ROUND and body["number"] >= 5:
            body |= {"block": 0, "label": 1 - body["label"], "seed": 5}
        return body

    entries = planned(story.entries, early)
    result = found(story, entries, tmp_path)
    at = next(e.seq for e in entries if e.kind == ROUND and json.loads(e.body)["number"] == 6)
    assert (f"{at}: it is said to be of block 0, before the first snapshot's" in false(result)) == snapshots
    assert (f"{at}: who was asked: no rules or no snapshot" in unproven(result)) != snapshots
    assert f"{at}: round 6 is not what its epoch's seed gives: label is" in false(result)


def test_an_epoch_that_never_stood_needs_no_snapshot_to_be_false(story: Story, tmp_path: Path) -> None:
    """Nor does a round of another epoch than the one that stands."""
    result = found(story, planned(story.entries, rounds(6, block=0, epoch=7)), tmp_path)
    assert f"{seq_of(story, 6)}: round 6 is said to be of epoch 7, but commitment 1 stands" in false(result)
