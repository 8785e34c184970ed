"""Who is asked when nobody was named."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors import TABLE
from detectors.checkpoints import HERE
from detectors.claims.choice import best, better
from detectors.claims.shelf import CARD, read_card
from detectors.fetching.store import place
from subnet.errors import SettingsError
from subnet.types import Modality


def test_the_default_of_images_misses_fewest() -> None:
    """Of all cards that ship, none has a smaller mean share of misses."""
    misses = {}
    for row in TABLE.values():
        card = read_card(HERE / f"{row.name}{CARD}")
        if card is not None and row.modality is Modality.IMAGE:
            shares = [each.misses.value for each in card.exams if each.misses and each.false_alarms]
            misses[row.name] = sum(shares) / len(shares)
    assert best(Modality.IMAGE).name == min(misses, key=lambda name: misses[name])


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
