"""Detectors sit an exam: every item is judged as `assay detect` judges it, and the answers become shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.calibration import Calibration
from detectors.claims.card import Card, Exam, Reach, Share
from detectors.claims.density import Density, Floats, fit
from detectors.claims.features import listening
from detectors.claims.verdict import BEYOND_REACH, Mark, mark
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import Ints
from detectors.whole_picture import judge, unfit
from subnet.media.leak.roc import ratio
from subnet.protocols import Detector
from subnet.types import Label, Media

FALSE_ALARMS = 0.01  # of real validation items, at most
BEYOND = 0.02  # of validation items
FEWEST_STORED = 40  # items whose fineness is known, for a line to be drawn


@dataclass(frozen=True, eq=False)
class Picture:
    """An item as it is shown, its label, kind (of a real item) or generator, and the content that it shares.

    `fineness` is that of the file, where it is shown otherwise than it is stored and yet the file is what is judged.
    """

    media: Media
    label: Label
    kind: str
    content: int
    fineness: float | None = None


@dataclass(frozen=True, eq=False)
class Opinion:
    """One detector's answer to one item: P(synthetic) of the whole, the features of its parts (views, F), and how fine
    its detail is (None: not measured)."""

    label: Label
    kind: str
    content: int
    p_synthetic: float
    features: Floats | None
    fineness: float | None = None


def opinions(detector: Detector, pictures: Iterable[Picture]) -> Iterator[Opinion]:
    """Judge what can be judged; the flat, the small and the short are passed over."""
    with listening(detector) as heard:
        for each in pictures:
            if unfit(each.media):
                continue
            whole = judge(detector, each.media)
            features = heard.take(len(whole.views))
            fine = whole.fineness if each.fineness is None else each.fineness
            yield Opinion(each.label, each.kind, each.content, whole.p_synthetic, features, fine)


def distance_of(density: Density | None, features: Floats | None) -> float | None:
    """How far an item lies: the median over its parts, so that neither one odd part nor one plain part decides."""
    if density is None or features is None:
        return None
    return typical(density.distances(features).tolist())


def typical(distances: Sequence[float] | None) -> float | None:
    """The median of the distances of an item's parts, in single precision as they are; None without any."""
    return None if distances is None else float(np.median(np.array(distances, dtype=np.float32)))


def reach_of(given: Sequence[Opinion], data: str, stored: Sequence[float] = ()) -> tuple[Reach, Density | None]:
    """Fit the threshold and both lines of the reach on validation items. Raises ValueError without real ones.

    The density's line is drawn over distances that are taken with the item's own content left out of the fit, that of
    fineness over `stored`, how fine validation items are as they are stored.
    """
    real = [each.p_synthetic for each in given if each.label is Label.REAL]
    if not real:
        raise ValueError("a threshold needs real items")
    line = threshold(np.array(real), FALSE_ALARMS)
    reach = Reach(data, len(given), len(real), line, float(np.mean(np.array(real) >= line)))
    if len(stored) >= FEWEST_STORED:
        coarsest = math.floor(1e4 * float(np.quantile(stored, BEYOND, method="lower"))) / 1e4
        reach = replace(
            reach, coarsest=coarsest, coarser=float(np.mean(np.array(stored) < coarsest)), stored=len(stored)
        )
    if any(each.features is None for each in given):
        return reach, None
    distances = _left_out(given)
    farthest = float(np.quantile(distances, 1 - BEYOND, method="higher"))
    beyond = float((distances > farthest).mean())
    density = fit(np.concatenate([each.features for each in given if each.features is not None]))
    return replace(reach, beyond=beyond, farthest=round(farthest, 4)), density


def threshold(real: Floats | np.ndarray, rate: float) -> float:
    """The least probability with four digits, above a half, that at most the share `rate` of real items reaches."""
    ordered = np.sort(real)
    allowed = int(rate * len(ordered))
    edge = float(ordered[len(ordered) - allowed - 1])
    return max(0.5, min(1.0, math.floor(edge * 1e4 + 1) / 1e4))


def _left_out(given: Sequence[Opinion], folds: int = 5) -> Floats:
    """The distance of every item from a density of items with other contents."""
    fold = np.array([each.content % folds for each in given])
    distances = np.zeros(len(given), dtype=np.float32)
    for number in range(folds):
        others = [each for each, own in zip(given, fold, strict=True) if own != number]
        kept = [each.features for each in others if each.features is not None]
        if len(kept) < 3:
            continue
        density = fit(np.concatenate(kept))
        for place in np.flatnonzero(fold == number).tolist():
            distances[place] = distance_of(density, given[place].features) or 0.0
    return distances


def exam_of(
    given: Sequence[Opinion],
    card: Card,
    calibration: Calibration,
    density: Density | None,
    *,
    name: str,
    shown: str,
    current: bool = False,
) -> Exam:
    """What the opinions come to under a card's reach. Raises ValueError without opinions."""
    if not given:
        raise ValueError(f"exam {name}: nothing in it can be judged")
    marks = [
        mark(card, calibration, each.p_synthetic, distance_of(density, each.features), each.fineness) for each in given
    ]
    high, far = (np.array([found in wanted for found in marks]) for wanted in ({Mark.HIGH}, BEYOND_REACH))
    real = np.array([each.label is Label.REAL for each in given])
    kinds, contents = np.array([each.kind for each in given]), np.array([each.content for each in given])

    def by_kind(called: np.ndarray, wanted: np.ndarray) -> dict[str, Share]:
        names = sorted(set(kinds[wanted].tolist()))
        return {kind: share(called, wanted & (kinds == kind), contents) for kind in names}

    return Exam(
        name,
        shown,
        current,
        share(high, real, contents) if real.any() else None,
        share(~high, ~real, contents) if (~real).any() else None,
        share(far, np.ones_like(real), contents),
        by_kind(high, real),
        by_kind(~high, ~real),
    )


def share(called: np.ndarray, kept: np.ndarray, contents: Ints) -> Share:
    """How many of the items that are kept are called so, with the interval over contents."""
    values = called[kept].astype(np.float64)
    found = measure(values, np.ones(len(values), dtype=np.int64), contents[kept], {"share": _share})["share"]
    low, high = (None if end is None else round(end, 4) for end in (found.low, found.high))
    return Share(int(values.sum()), len(values), low, high)


def _share(p: np.ndarray, y: np.ndarray, w_RN: np.ndarray) -> np.ndarray:
    return ratio(w_RN @ p, w_RN.sum(axis=1))
