"""Turning a network's log-odds into probabilities that mean what they say.

Temperature scaling (Guo et al. 2017) with a bias: p = sigmoid(logit / temperature + bias). The bias carries a shift of
the prior (Saerens et al. 2002) and of the threshold. Both are fitted on validation data and travel with the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from subnet.types import THRESHOLD, Label, Prediction


class Verdict(StrEnum):
    """What to tell a person. That no trace was found is said by `detectors.claims` alone, where an exam allows it."""

    NO_TRACE = "no trace found"
    CANNOT_TELL = "cannot tell"
    UNCERTAIN = "uncertain"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Calibration:
    """p = sigmoid(logit / temperature + bias); probabilities strictly inside (low, high) are called uncertain.

    Fitted for classes that are equally frequent; `probability(..., prior=q)` moves it to a share q of synthetic items.
    """

    temperature: float = 1.0
    bias: float = 0.0
    low: float = 0.4
    high: float = 0.6

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0 and math.isfinite(self.bias)):
            raise ValueError(f"temperature must be positive and bias finite, not {self.temperature} and {self.bias}")
        if not 0 <= self.low <= 0.5 <= self.high <= 1:
            raise ValueError(f"the uncertain band must hold 0.5 within [0, 1], not {self.low} .. {self.high}")

    def log_odds(self, logit: float, prior: float = 0.5) -> float:
        """Calibrated log-odds at a prior in (0, 1)."""
        if not 0 < prior < 1:
            raise ValueError(f"prior must be in (0, 1), not {prior}")
        return logit / self.temperature + self.bias + math.log(prior / (1 - prior))

    def probability(self, logit: float, prior: float = 0.5) -> float:
        """Calibrated P(synthetic) in [0, 1]. Raises ValueError for a logit that is not a number."""
        return sigmoid(self.log_odds(logit, prior))

    def verdict(self, probability: float) -> Verdict:
        """In words, where nothing else is known: a low number alone says nothing."""
        if self.low < probability < self.high:
            return Verdict.UNCERTAIN
        return Verdict.SYNTHETIC if Prediction(probability).label is Label.SYNTHETIC else Verdict.CANNOT_TELL

    def to_json(self) -> dict[str, float]:
        return {"temperature": self.temperature, "bias": self.bias, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, values: Mapping[str, float]) -> Calibration:
        return cls(**{key: float(values[key]) for key in ("temperature", "bias", "low", "high") if key in values})


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value)) without overflow. Raises ValueError for NaN."""
    if math.isnan(value):
        raise ValueError("a network answered NaN")
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-min(value, 700.0)))
    return 1.0 - sigmoid(-value)


def fit(logits: Sequence[float], labels: Sequence[int], *, error: float = 0.2) -> Calibration:
    """Temperature and bias of least log-loss with both classes weighing the same; Newton's method, lightly regularised.

    The uncertain band is the narrowest around 0.5 outside of which at most the share `error` of validation answers
    inside [band edge, band edge + 0.1] is wrong, both classes weighing the same. Raises ValueError when a class is
    missing or a logit is not finite.
    """
    x, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if len(x) != len(y) or not np.isfinite(x).all():
        raise ValueError(f"{len(x)} logits for {len(y)} labels, all of which must be finite")
    if not 0 < y.sum() < len(y):
        raise ValueError("calibration needs validation items of both classes")
    scale = max(float(np.std(x)), 1e-6)
    slope, bias = _logistic(x / scale, y)
    slope = max(slope / scale, 1e-3)
    fitted = Calibration(temperature=1.0 / slope, bias=bias)
    low, high = _band(np.array([fitted.probability(float(v)) for v in x]), y, error)
    return Calibration(fitted.temperature, fitted.bias, low, high)


def threshold(reals: Sequence[float] | NDArray[np.floating], share: float) -> float:
    """The lowest of the answers to `reals` above which at most the `share` of them lies."""
    return float(np.sort(reals)[::-1][int(share * len(reals) + 1e-9)])


def _logistic(x: NDArray[np.float64], y: NDArray[np.float64], ridge: float = 1e-3) -> tuple[float, float]:
    design = np.stack([x, np.ones_like(x)], axis=1)
    weight = _class_weights(y)
    theta = np.zeros(2)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ theta, -60, 60)))
        gradient = design.T @ (weight * (p - y)) + ridge * theta
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + ridge * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-10:
            break
    return float(theta[0]), float(theta[1])


def _class_weights(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) summing to 1, half of it on each class."""
    weights: NDArray[np.float64] = np.where(y == 1, 0.5 / y.sum(), 0.5 / (len(y) - y.sum()))
    return weights


def _band(p: NDArray[np.float64], y: NDArray[np.float64], error: float) -> tuple[float, float]:
    confidence = np.abs(p - 0.5)
    wrong = (p > THRESHOLD) != (y == 1)
    weight = _class_weights(y)
    for edge in np.arange(0.0, 0.4, 0.05):
        ring = (confidence >= edge) & (confidence < edge + 0.1)
        if ring.sum() == 0 or np.average(wrong[ring], weights=weight[ring]) <= error:
            return round(0.5 - float(edge), 2), round(0.5 + float(edge), 2)
    return 0.1, 0.9
