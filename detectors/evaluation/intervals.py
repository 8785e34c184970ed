"""How sure a measurement is: bootstrap over whole clusters, so that crops and twins of one photo count once.

Field & Welsh 2007, the cluster bootstrap: draw as many clusters as there are, with replacement, and take all their
items. A resample is a row of weights, so that all resamples of a metric are one matrix computation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from detectors.dataset.contents import numbers_of
from detectors.evaluation.metrics import BOUNDS, METRICS, RATES, THRESHOLDS, UNIT, Floats, Ints, Metric
from subnet.types import Label

RESAMPLES = 1000
# Clusters of a class below which no interval is given. At a true AUC of 0.9 what is called a 95 % interval misses it in
# 27 of 100 data sets with 5 clusters of each class, in 22 with 6, 12 with 10, 8 with 20 and 6 with 40 (400 sets each).
FEWEST = 10
TOO_FEW = "too few"
_ONE_CLASS: Mapping[str, Label] = {  # metrics that look at items of one class alone
    "type_1_error": Label.REAL,
    "type_2_error": Label.SYNTHETIC,
    "recall": Label.SYNTHETIC,
}
_CELLS = 4_000_000  # weights held at once
DIGITS = 6


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval; `low` and `high` are None where there are too few clusters for one."""

    value: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """Rounded to DIGITS places."""
        cells = {"value": self.value, "low": self.low, "high": self.high}
        return {key: None if cell is None else round(cell, DIGITS) for key, cell in cells.items()}


def span(cell: Mapping[str, float | None], form: str = ".3f", join: str = " to ") -> str:
    """The interval of a cell of JSON for people: both ends in `form`, or that there are too few clusters."""
    low, high = cell["low"], cell["high"]
    return TOO_FEW if low is None or high is None else f"{low:{form}}{join}{high:{form}}"


def resamples(clusters: Ints, times: int, seed: int) -> Floats:
    """Weights (times, N): how often each item's cluster was drawn."""
    count = int(clusters.max()) + 1
    drawn = np.random.default_rng([seed, count]).multinomial(count, np.full(count, 1 / count), size=times)
    return drawn[:, clusters].astype(np.float64)


def distributions(
    p: Floats, y: Ints, clusters: Ints, metrics: Mapping[str, Metric], *, times: int = RESAMPLES, seed: int = 0
) -> dict[str, Floats]:
    """Each metric over `times` resamples, (times,), in chunks that fit into memory."""
    chunk = max(1, _CELLS // max(1, len(p)))
    parts: dict[str, list[Floats]] = {name: [] for name in metrics}
    for start in range(0, times, chunk):
        w_RN = resamples(clusters, min(chunk, times - start), seed + start)
        for name, metric in metrics.items():
            parts[name].append(metric(p, y, w_RN))
    return {name: np.concatenate(values) for name, values in parts.items()}


def fewest(y: Ints, clusters: Ints, name: str) -> int:
    """Independent clusters that stand behind a metric: of its one class, or of the rarer of those there are.

    0 for what is found at a rate of false alarms below one in all clusters of reals, which cannot be told from none.
    """
    if name in RATES and len(set(clusters[y == Label.REAL].tolist())) * RATES[name] < 1:
        return 0
    kinds = (int(_ONE_CLASS[name]),) if name in _ONE_CLASS else tuple(set(y.tolist()))
    return min((len(set(clusters[y == kind].tolist())) for kind in kinds), default=0)


def measure(
    p: Floats,
    y: Ints,
    clusters: Ints,
    metrics: Mapping[str, Metric] = METRICS,
    *,
    times: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every metric with its interval, which needs FEWEST clusters of each class that the metric looks at."""
    clusters = numbers_of(clusters.tolist())
    spread = distributions(p, y, clusters, metrics, times=times, seed=seed)
    ones = np.ones((1, len(p)))
    return {
        name: interval(float(metric(p, y, ones)[0]), spread[name], fewest(y, clusters, name), BOUNDS.get(name, UNIT))
        for name, metric in metrics.items()
    }


def with_thresholds(
    p: Floats, y: Ints, clusters: Ints, metrics: Mapping[str, Metric], *, times: int = RESAMPLES, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """`measure` as JSON; what is found at a rate of false alarms also has the `threshold` above which it is called.

    A threshold keeps all digits, so that who applies it gets the same.
    """
    found = measure(p, y, clusters, metrics, times=times, seed=seed)
    cells: dict[str, dict[str, Any]] = {name: each.to_json() for name, each in found.items()}
    rates = [name for name in RATES if name in metrics]
    if rates:
        clusters = numbers_of(clusters.tolist())
        spread = distributions(p, y, clusters, {name: THRESHOLDS[name] for name in rates}, times=times, seed=seed)
    for name in rates:
        value = float(THRESHOLDS[name](p, y, np.ones((1, len(p))))[0])
        ends = interval(value, spread[name], fewest(y, clusters, name), (-np.inf, np.inf)).to_json()
        cells[name]["threshold"] = {**ends, "value": value}
    return cells


def interval(value: float, spread: Floats, count: int, bounds: tuple[float, float]) -> Interval:
    """The middle 95 % of `spread`, NaN left out, widened to hold the value: resampling biases some metrics (ECE).

    None from fewer than FEWEST clusters. Where `count` clusters are all without a fault, or all wrong, resampling them
    shows no spread: then the end away from the bound is the Clopper-Pearson one, 1 - 0.025^(1/count) of the range.
    """
    usable = spread[np.isfinite(spread)]
    if count < FEWEST or len(usable) == 0:
        return Interval(value, None, None)
    low, high = (float(end) for end in np.quantile(usable, [0.025, 0.975]))
    low, high = min(low, value), max(high, value)
    if low == high and value in bounds:
        margin = (bounds[1] - bounds[0]) * (1 - 0.025 ** (1 / count))
        low, high = (low - margin, high) if value == bounds[1] else (low, high + margin)
    return Interval(value, low, high)


def exact(count: int, pictures: int) -> dict[str, Any]:
    """The share `count` of independent `pictures` (at least one) with its exact 95 % interval, as JSON.

    Clopper & Pearson 1934.
    """
    low = float(betaincinv(count, pictures - count + 1, 0.025)) if count else 0.0
    high = float(betaincinv(count + 1, pictures - count, 0.975)) if count < pictures else 1.0
    ends = {"value": count / pictures, "low": low, "high": high}
    return {"pictures": pictures, "count": count, **{name: round(end, DIGITS) for name, end in ends.items()}}
