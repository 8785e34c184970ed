"""What the numbers of a played subnet say: shares, inequality, order, and how soon they are right. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CONFIDENCE = 0.95
NEAR = 0.05  # of its place, as a share


@dataclass(frozen=True)
class Spread:
    """Mean with the 5 % and 95 % quantiles."""

    mean: float
    low: float
    high: float


def spread(values: Sequence[float] | Array) -> Spread:
    low, high = np.quantile(values, (0.05, 0.95))
    return Spread(float(np.mean(values)), float(low), float(high))


def gini(values: Sequence[float] | Array) -> float:
    """0 when all are equal, towards 1 when one has everything."""
    ordered = np.sort(np.asarray(values, dtype=float))
    total = ordered.sum()
    ranks = np.arange(1, len(ordered) + 1)
    return float((2 * ranks - len(ordered) - 1) @ ordered / (len(ordered) * total)) if total else 0.0


def right_order(lower: Sequence[float] | Array, higher: Sequence[float] | Array) -> float:
    """Chance that one of `higher` stands above one of `lower`; a tie counts half."""
    low, high = np.asarray(lower)[:, None], np.asarray(higher)[None, :]
    return float(np.mean((high > low) + 0.5 * (high == low)))


def from_then_on(times: Sequence[int], values: Sequence[float], least: float) -> int | None:
    """The first time from which the values stay at `least` or above, None when the last does not."""
    below = [n for n, value in enumerate(values) if value < least]
    first = below[-1] + 1 if below else 0
    return times[first] if first < len(times) else None


def bound(answers: float, lower: float = 0.90, higher: float = 0.93) -> float:
    """Chance that the better of two miners has more right answers, after so many each on items of their own.

    No estimator that knows right and wrong alone can do better: the count is sufficient, by the normal approximation.
    """
    noise = lower * (1 - lower) + higher * (1 - higher)
    return NormalDist().cdf((higher - lower) * math.sqrt(answers / noise))


def answers_for(chance: float, lower: float = 0.90, higher: float = 0.93) -> int:
    """How many answers each that takes: the inverse of `bound`."""
    noise = lower * (1 - lower) + higher * (1 - higher)
    return math.ceil(noise * (NormalDist().inv_cdf(chance) / (higher - lower)) ** 2)


@dataclass(frozen=True)
class Gain:
    """What a trick earns beside honest play with the same means: as a factor, with twice its standard error."""

    factor: float
    error: float

    @property
    def pays(self) -> bool:
        """More than noise and than one percent."""
        return self.factor - self.error > 1.01


def gain(trick: Sequence[float] | Array, upright: Sequence[float] | Array, effort: float, idle: float = 0.0) -> Gain:
    """From mean shares per key; `effort` is the share of the honest work that the trick does.

    `idle` is what it could earn besides by doing nothing.
    """
    base = float(np.mean(upright)) * effort + idle
    if base <= 0:
        return Gain(0.0, 0.0)
    errors = [float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0 for values in (trick, upright)]
    factor = float(np.mean(trick)) / base
    relative = math.hypot(math.sqrt(errors[0]) / base, factor * math.sqrt(errors[1]) * effort / base)
    return Gain(factor, 2 * relative)
