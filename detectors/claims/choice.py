"""Which detector to ask when nobody named one: the best that is at hand, by what was measured."""

from __future__ import annotations

from collections.abc import Iterable

from detectors import TABLE
from detectors.checkpoints import HERE
from detectors.claims.card import Card
from detectors.claims.shelf import CARD, read_card
from detectors.fetching.store import fetched
from detectors.rows import DetectorRow
from subnet.errors import SettingsError
from subnet.types import Modality


def best(modality: Modality, rows: Iterable[DetectorRow] = TABLE.values()) -> DetectorRow:
    """The row with weights that misses fewest fakes, at thresholds that were all fitted at one share of false alarms.

    Misses of current generators count first, then those of the exam that most cards have. Raises SettingsError where
    nothing judges this modality.
    """
    ready = [row for row in rows if row.modality is modality and row.weights]
    if not ready:
        raise SettingsError(f"detector: no weights for {modality}s are here; name one with --detector")
    return min(ready, key=_standing)


def better(modality: Modality, rows: Iterable[DetectorRow] = TABLE.values()) -> list[DetectorRow]:
    """Rows with a published number whose weights can be fetched and are not here, in the order of the table."""
    return [row for row in rows if row.modality is modality and row.published and row.files and not fetched(row)]


def _standing(row: DetectorRow) -> tuple[bool, float]:
    card = read_card(HERE / f"{row.name}{CARD}")
    if card is None or card.weights != row.sha256:
        return True, 1.0
    if card.claim is not None and card.claim.misses is not None:
        return False, card.claim.misses.value
    return True, _misses(card)


def _misses(card: Card) -> float:
    """The mean share of fakes missed over the exams that have real items, too."""
    shares = [exam.misses.value for exam in card.exams if exam.misses and exam.false_alarms]
    return sum(shares) / len(shares) if shares else 1.0
