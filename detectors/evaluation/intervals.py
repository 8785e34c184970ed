"""How sure a measurement is: bootstrap over whole clusters, so that crops and twins of one photo count once.

Field & Welsh 2007, the cluster bootstrap: draw as many clusters as there are, with replacement, and take all their
items. A resample is a row of weights, so that all resamples of a metric are one matrix computation.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.evaluation.metrics import BOUNDS, METRICS, Floats, Ints, Metric

RESAMPLES = 1000
_CELLS = 4_000_000  # weights held at once
DIGITS = 6


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Rounded to DIGITS places."""
        return {key: round(getattr(self, key), DIGITS) for key in ("value", "low", "high")}

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def numbers_of(keys: Iterable[Hashable]) -> Ints:
    """0.. for each distinct key, in the order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def connected_components(links: Sequence[Sequence[Hashable]]) -> Ints:
    """Clusters of items: two items that share any of their keys, or a chain of such, get the same number."""
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for keys in links:
        for key in keys[1:]:
            parent[root(key)] = root(keys[0])
    return numbers_of(root(keys[0]) for keys in links)


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


def measure(
    p: Floats,
    y: Ints,
    clusters: Ints,
    metrics: Mapping[str, Metric] = METRICS,
    *,
    times: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every metric with its interval. Where no resample holds both classes the interval is all that is possible."""
    clusters = numbers_of(clusters.tolist())
    spread = distributions(p, y, clusters, metrics, times=times, seed=seed)
    ones = np.ones((1, len(p)))
    return {name: interval(float(metric(p, y, ones)[0]), spread[name], name) for name, metric in metrics.items()}


def interval(value: float, spread: Floats, name: str = "") -> Interval:
    """The middle 95 % of `spread`, NaN left out, widened to hold the value: resampling biases some metrics (ECE)."""
    usable = spread[np.isfinite(spread)]
    if len(usable) == 0:
        return Interval(value, *BOUNDS.get(name, (0.0, 1.0)))
    low, high = np.quantile(usable, [0.025, 0.975])
    return Interval(value, min(float(low), value), max(float(high), value))
