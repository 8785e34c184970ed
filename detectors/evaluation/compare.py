"""Two detectors on the very same variants: paired differences, which are far surer than two separate intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.evaluation.intervals import RESAMPLES
from detectors.evaluation.metrics import Floats
from detectors.evaluation.summary import Answers, differences
from subnet.errors import DataError
from subnet.media.everyday import RESAVED
from subnet.types import THRESHOLD, Label

if TYPE_CHECKING:
    from detectors.evaluation.evaluation import Evaluation


def compare(first: Evaluation, second: Evaluation, *, times: int = RESAMPLES) -> dict[str, Any]:
    """First minus second for every metric, overall and by level, each with a 95 % interval and `sure`.

    `sure` is true when there is an interval and it does not hold 0. Both must have been measured in one `evaluate`.
    Raises DataError when they were not asked the same.
    """
    one, other = first.answers, second.answers
    if first.records != second.records or not np.array_equal(one.level, other.level):
        raise DataError("compare: the two detectors were not asked the same; evaluate them together")
    names = first.findings["detector"], second.findings["detector"]
    return compared(names, one, other.p, times=times, seed=first.task.seed)


def compared(
    names: tuple[str, str], one: Answers, other: Floats, *, times: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """What `compare` says of the answers `one`, and the answers `other` of the second detector to the same."""
    if not (one.y == Label.SYNTHETIC).any():
        plain = one.origin != RESAVED  # as in the findings of an exam
        one, other = one.where(plain), other[plain]
    levels = {}
    for level in sorted(set(one.level.tolist())):
        kept = one.level == level
        levels[str(level)] = differences(one.where(kept), other[kept], times=times, seed=seed)
    return {
        "first": names[0],
        "second": names[1],
        "differences": differences(one, other, times=times, seed=seed),
        "by_level": levels,
        "disagreements": int(((one.p > THRESHOLD) != (other > THRESHOLD)).sum()),
    }
