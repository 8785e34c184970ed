"""From a probability and a distance to what a person is told: a verdict, and a sentence with the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from detectors.calibration import Calibration, Verdict
from detectors.claims.card import Card, Exam, Reach

UNMEASURED = "these weights were never measured on current generators, so a low number is no sign that it is real"


class Mark(StrEnum):
    """Where an answer lies, before anybody asks what that is worth."""

    HIGH = "high"
    BETWEEN = "between"
    LOW = "low"
    FAR = "far"
    COARSE = "coarse"


BEYOND_REACH = frozenset({Mark.FAR, Mark.COARSE})


@dataclass(frozen=True)
class Answer:
    """A verdict, why, and the exam whose numbers the sentence gives ("" where it needs none)."""

    verdict: Verdict
    sentence: str
    exam: str = ""


def synthetic_from(card: Card, calibration: Calibration) -> float:
    """The probability from which on an item is called synthetic: the card's, or the end of the uncertain band."""
    return card.reach.synthetic_from if card.reach else calibration.high


def mark(
    card: Card,
    calibration: Calibration,
    probability: float,
    distance: float | None = None,
    fineness: float | None = None,
) -> Mark:
    """Where an answer lies. `distance` is that of the item's features, None where there are none.

    Without detail of the finest kind there is no trace of up-sampling to be told from another: that comes first.
    """
    coarsest, farthest = (card.reach.coarsest, card.reach.farthest) if card.reach else (None, None)
    if coarsest is not None and fineness is not None and fineness < coarsest:
        return Mark.COARSE
    if farthest is not None and distance is not None and distance > farthest:
        return Mark.FAR
    if probability >= synthetic_from(card, calibration) and probability > 0.5:
        return Mark.HIGH
    return Mark.BETWEEN if probability > calibration.low else Mark.LOW


def answer(
    card: Card,
    calibration: Calibration,
    probability: float,
    distance: float | None = None,
    fineness: float | None = None,
    *,
    shown: str = "",
) -> Answer:
    """What to say. `shown` is how the item was looked at, so that an exam taken in the same way is named."""
    found = mark(card, calibration, probability, distance, fineness)
    if found in BEYOND_REACH and card.reach is not None:
        why = _far(card.reach, distance or 0.0) if found is Mark.FAR else _coarse(card.reach, fineness or 0.0)
        return Answer(Verdict.CANNOT_TELL, why)
    if found is Mark.HIGH:
        exam = _fitting(card, shown)
        return Answer(Verdict.SYNTHETIC, _high(exam), exam.name if exam else "")
    if found is Mark.BETWEEN:
        return Answer(Verdict.UNCERTAIN, _between(card, calibration))
    if (exam := card.claim) is not None:
        return Answer(Verdict.NO_TRACE, f"{_missing(exam)}; that is no proof that it is real", exam.name)
    if (exam := card.worst) is not None:
        return Answer(Verdict.CANNOT_TELL, f"{_missing(exam)}, so a low number is no sign that it is real", exam.name)
    return Answer(Verdict.CANNOT_TELL, UNMEASURED)


def _fitting(card: Card, shown: str) -> Exam | None:
    """An exam with false alarms and misses, one that was shown alike where there is one."""
    whole = [exam for exam in card.exams if exam.false_alarms and exam.misses]
    return next((exam for exam in whole if exam.shown == shown), whole[0] if whole else None)


def _high(exam: Exam | None) -> str:
    if exam is None or exam.false_alarms is None or exam.misses is None:
        return "these weights were never measured on real items, so nobody knows how often they say this of them"
    return f"on the exam {exam.name} it calls {exam.false_alarms} real items synthetic, and misses {exam.misses} fakes"


def _missing(exam: Exam) -> str:
    return f"on the exam {exam.name} it misses {exam.misses} fakes of current generators"


def _far(reach: Reach, distance: float) -> str:
    return (
        f"it lies farther from what these weights were measured on than all but {100 * reach.beyond:.0f} % of the "
        f"{reach.items} items of {reach.data} do: {distance:.2f}, and the line is {reach.farthest:.2f}"
    )


def _coarse(reach: Reach, fineness: float) -> str:
    return (
        "it has less detail than its pixels have room for, as after enlarging, which leaves traces of up-sampling as "
        f"generators do: {fineness:.2f}, and the line is {reach.coarsest:.2f}, below which {100 * reach.coarser:.0f} % "
        f"of {reach.stored} items of {reach.data} lie as they are stored"
    )


def _between(card: Card, calibration: Calibration) -> str:
    if card.reach is None:
        return f"an answer between {calibration.low:.2f} and {calibration.high:.2f} says neither"
    reach = card.reach
    return (
        f"it is called synthetic from {reach.synthetic_from:.3f} on, where {100 * reach.false_alarms:.1f} % of the "
        f"{reach.real} real items of {reach.data} lie, and below {calibration.low:.2f} nothing speaks for that"
    )
