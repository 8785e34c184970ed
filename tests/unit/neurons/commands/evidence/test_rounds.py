"""What rounds, rows, items and labels say of themselves, by a validator that computed all the rest again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from subnet.evidence.entries.entry import Entry
from subnet.evidence.records import ROUND
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
