"""Which detector to ask when nobody named one: the best that is at hand, by what was measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from statistics import mean

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

    Misses of current generators count first, then those of the exams that all cards have; of equals fewer false alarms
    decide. Raises SettingsError where
    nothing judges this modality.
    """
    ready = [row for row in rows if row.modality is modality and row.weights]
    if not ready:
        raise SettingsError(f"detector: no weights for {modality}s are here; name one with --detector")
    cards = {row.name: card for row in ready if (card := _card(row)) is not None}
    taken = [{exam.name for exam in card.exams if exam.misses and exam.false_alarms} for card in cards.values()]
    shared = set.intersection(*taken) if taken else set()
    return min(ready, key=lambda row: _standing(cards.get(row.name), shared))


def better(modality: Modality, rows: Iterable[DetectorRow] = TABLE.values()) -> list[DetectorRow]:
    """Rows with a published number whose weights can be fetched and are not here, in the order of the table."""
    return [row for row in rows if row.modality is modality and row.published and row.files and not fetched(row)]


def _card(row: DetectorRow) -> Card | None:
    card = read_card(HERE / f"{row.name}{CARD}")
    return card if card is not None and card.weights == row.sha256 else None


def _standing(card: Card | None, shared: Collection[str]) -> tuple[bool, float, float]:
    """No claim, the mean share of fakes missed (current ones, or over the `shared` exams), and that of false alarms."""
    exams = [exam for exam in card.exams if exam.name in shared] if card else []
    alarms = mean([exam.false_alarms.value for exam in exams if exam.false_alarms] or [1.0])
    if card is not None and card.claim is not None and card.claim.misses is not None:
        return False, card.claim.misses.value, alarms
    return True, mean([exam.misses.value for exam in exams if exam.misses] or [1.0]), alarms
