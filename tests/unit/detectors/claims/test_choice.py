"""Who is asked when nobody was named."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors import TABLE
from detectors.checkpoints import HERE
from detectors.claims import choice
from detectors.claims.card import Card, Exam, Share
from detectors.claims.choice import best, better
from detectors.claims.shelf import CARD, keep, read_card
from detectors.fetching.store import place
from subnet.errors import SettingsError
from subnet.types import Modality


@pytest.mark.parametrize("modality", list(Modality))
def test_the_default_misses_fewest(modality: Modality) -> None:
    """Of all cards that ship, none misses fewer fakes of the exams that all of them took, or as few at fewer alarms."""
    cards = {
        row.name: {
            exam.name: (exam.misses.value, exam.false_alarms.value)
            for exam in card.exams
            if exam.misses and exam.false_alarms
        }
        for row in TABLE.values()
        if row.modality is modality and (card := read_card(HERE / f"{row.name}{CARD}")) is not None
    }
    shared = set.intersection(*(set(misses) for misses in cards.values()))
    assert shared
    sums = {name: tuple(sum(found[exam][of] for exam in shared) for of in (0, 1)) for name, found in cards.items()}
    assert best(modality).name == min(sums, key=lambda name: sums[name])


def test_an_exam_that_only_one_sat_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An easy exam more on a card does not put its detector before one that misses fewer on what both took."""
    monkeypatch.setattr(choice, "HERE", tmp_path)
    rows = [TABLE["ucf"], TABLE["npr"]]
    exams = {"ucf": {"hard": 6, "easy": 0}, "npr": {"hard": 5}}
    for row in rows:
        taken = tuple(
            Exam(name, "", False, Share(0, 9, 0, 1), Share(missed, 9, 0, 1), Share(0, 18, 0, 1))
            for name, missed in exams[row.name].items()
        )
        keep(tmp_path / row.name, Card(row.name, row.sha256, exams=taken))
    assert best(Modality.IMAGE, rows).name == "npr"


def test_rows_without_weights_are_not_chosen() -> None:
    """Guessers, and rows for which something has to be brought."""
    rows = [row for row in TABLE.values() if not row.weights]
    with pytest.raises(SettingsError, match="no weights for images"):
        best(Modality.IMAGE, rows)


def test_without_cards_the_first_row_is_taken() -> None:
    """Nothing is known of any: the table's order counts."""
    rows = [row for row in TABLE.values() if row.modality is Modality.VIDEO and row.weights]
    unknown = [row for row in rows if read_card(HERE / f"{row.name}{CARD}") is None]
    assert best(Modality.VIDEO, unknown).name == unknown[0].name


def test_better_rows_are_those_that_can_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a published number, and not here; a file that was fetched takes its row off the list."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    rows = better(Modality.IMAGE)
    assert rows
    assert all(row.published and row.files and not row.weights for row in rows)
    for origin in rows[0].files:
        place(rows[0], origin).parent.mkdir(parents=True, exist_ok=True)
        place(rows[0], origin).write_bytes(b"x")
    assert better(Modality.IMAGE) == rows[1:]
