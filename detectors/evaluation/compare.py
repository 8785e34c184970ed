"""Two detectors on the very same variants: paired differences, which are far surer than two separate intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.evaluation.intervals import RESAMPLES, distributions, fewest, interval
from detectors.evaluation.metrics import METRICS, Floats, Metric
from detectors.evaluation.summary import ALARMS, Answers
from subnet.media.everyday import RESAVED
from subnet.types import THRESHOLD, Label

_DIFFERENCE = (-2.0, 2.0)  # of two metrics; MCC lies in -1..1


def compared(
    names: tuple[str, str], one: Answers, other: Floats, *, times: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """First minus second for every metric, overall and by level, each with a 95 % interval and `sure`.

    `one` are the answers of the first of `names`, `other` those of the second to the same. `sure` is true when there is
    an interval and it does not hold 0.
    """
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


def differences(
    given: Answers, other: Floats, wanted: Mapping[str, Metric] = METRICS, *, times: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Metrics of `given` minus those of the answers `other`, resampled together; of reals alone only false alarms."""
    found: dict[str, Any] = {}
    metrics = wanted if (given.y == Label.SYNTHETIC).any() else ALARMS
    spreads = [distributions(p, given.y, given.cluster, metrics, times=times, seed=seed) for p in (given.p, other)]
    ones = np.ones((1, len(other)))
    for name, metric in metrics.items():
        value = float((metric(given.p, given.y, ones) - metric(other, given.y, ones))[0])
        count = fewest(given.y, given.cluster, name)
        cell = interval(value, spreads[0][name] - spreads[1][name], count, _DIFFERENCE).to_json()
        low, high = cell["low"], cell["high"]
        found[name] = {**cell, "sure": low is not None and high is not None and (low > 0 or high < 0)}
    return found
