"""The field's metrics, for many weightings of the same answers at once.

Every function takes answers `p` (N,) in [0, 1], truths `y` (N,) of 0 and 1, and weights `w_RN`; it returns (R,). A row
of ones gives the plain metric, the rows of a bootstrap its distribution. Each equals scikit-learn's with
`sample_weight`; where a class has no weight the result is NaN. Synthetic is the positive class, called above
`subnet.types.THRESHOLD`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from subnet.media.leak.roc import auc, ratio, steps
from subnet.types import THRESHOLD

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Metric = Callable[[Floats, Ints, Floats], Floats]

BINS = 10  # of the calibration error and the reliability diagram, equally wide


def confusion(p: Floats, y: Ints, w_RN: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Weights of true positives, false positives, false negatives and true negatives, (R,) each."""
    called = p > THRESHOLD
    cells = np.stack([called & (y == 1), called & (y == 0), ~called & (y == 1), ~called & (y == 0)], axis=1)
    counts = w_RN @ cells.astype(np.float64)
    return counts[:, 0], counts[:, 1], counts[:, 2], counts[:, 3]


def accuracy(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Share of right answers, 0..1."""
    tp, fp, fn, tn = confusion(p, y, w_RN)
    return ratio(tp + tn, tp + fp + fn + tn)


def type_1_error(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Share of reals called synthetic: the false positive rate, 0..1."""
    _, fp, _, tn = confusion(p, y, w_RN)
    return ratio(fp, fp + tn)


def type_2_error(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Share of synthetic items called real: the miss rate, 0..1."""
    tp, _, fn, _ = confusion(p, y, w_RN)
    return ratio(fn, tp + fn)


def recall(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Share of synthetic items found, 0..1."""
    return 1 - type_2_error(p, y, w_RN)


def precision(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Share of items called synthetic that are, 0..1; 0 where none is called so (as scikit-learn has it)."""
    tp, fp, _, _ = confusion(p, y, w_RN)
    return np.divide(tp, tp + fp, out=np.zeros_like(tp), where=tp + fp > 0)


def f1(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Harmonic mean of precision and recall, 0..1; 0 where nothing synthetic is found."""
    tp, fp, fn, _ = confusion(p, y, w_RN)
    return np.divide(2 * tp, 2 * tp + fp + fn, out=np.zeros_like(tp), where=2 * tp + fp + fn > 0)


def balanced_accuracy(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Mean of both classes' shares of right answers, 0..1."""
    return 1 - (type_1_error(p, y, w_RN) + type_2_error(p, y, w_RN)) / 2


def mcc(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Matthews' correlation, -1..1; 0 where one class is never called (as scikit-learn has it)."""
    tp, fp, fn, tn = confusion(p, y, w_RN)
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    value = np.divide(tp * tn - fp * fn, np.sqrt(product), out=np.zeros_like(product), where=product > 0)
    return np.where((tp + fn > 0) & (tn + fp > 0), value, np.nan)


def brier(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Mean squared error of the probabilities, 0 (best) .. 1. Brier 1950."""
    return ratio(w_RN @ (p - y) ** 2, w_RN.sum(axis=1))


def bin_of(p: Floats) -> Ints:
    """Number of the bin of each answer, 0 .. BINS - 1."""
    return np.minimum((p * BINS).astype(np.int64), BINS - 1)


def ece(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Expected calibration error: mean |P(synthetic) - share synthetic| over bins, 0..1. Guo et al. 2017, eq. 3."""
    members = (bin_of(p)[:, None] == np.arange(BINS)).astype(np.float64)
    gaps = np.abs(w_RN @ (members * (p - y)[:, None]))
    return ratio(gaps.sum(axis=1), w_RN.sum(axis=1))


def ap(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Average precision: precision averaged over steps of recall, 0..1."""
    positive, negative = steps(p, y, w_RN)
    hits, all_called = np.cumsum(positive, axis=1), np.cumsum(positive + negative, axis=1)
    precision = np.divide(hits, all_called, out=np.zeros_like(hits), where=all_called > 0)
    both = negative.sum(axis=1) > 0
    return np.where(both, ratio((positive * precision).sum(axis=1), positive.sum(axis=1)), np.nan)


def tpr_at(fpr: float) -> Metric:
    """The share of synthetic items found at a threshold that calls at most `fpr` of the reals synthetic."""

    def metric(p: Floats, y: Ints, w_RN: Floats) -> Floats:
        positive, negative = steps(p, y, w_RN)
        real = negative.sum(axis=1)
        allowed = np.cumsum(negative, axis=1) <= (fpr * real + 1e-9)[:, None]
        found = np.where(allowed, np.cumsum(positive, axis=1), 0.0).max(axis=1)
        return np.where(real > 0, ratio(found, positive.sum(axis=1)), np.nan)

    return metric


def threshold_at(fpr: float) -> Metric:
    """The threshold of `tpr_at`: the highest answer of a real item that is not called synthetic, which is above it."""

    def metric(p: Floats, y: Ints, w_RN: Floats) -> Floats:
        _, negative = steps(p, y, w_RN)
        real = negative.sum(axis=1)
        beyond = np.cumsum(negative, axis=1) > (fpr * real + 1e-9)[:, None]
        return np.where(real > 0, np.unique(p)[::-1][beyond.argmax(axis=1)], np.nan)

    return metric


def reward(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """What the subnet is expected to pay, 0..1: MCC / 2 + accuracy / 2 with both labels equally likely, as asked.

    MCC below 0 counts as 0 (`subnet.game.scoring`). These are rates over all answers; `reward_windows` shows the
    spread.
    """
    false_alarm, miss = type_1_error(p, y, w_RN), type_2_error(p, y, w_RN)
    right = 1 - (false_alarm + miss) / 2
    called = (1 - miss + false_alarm) / 2  # share called synthetic
    spread = np.sqrt(called * (1 - called))
    balanced_mcc = np.divide(2 * right - 1, 2 * spread, out=np.zeros_like(right), where=spread > 0)
    return np.where(np.isnan(right), np.nan, right / 2 + np.maximum(balanced_mcc, 0) / 2)


METRICS: Mapping[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "mcc": mcc,
    "auc": auc,
    "ap": ap,
    "brier": brier,
    "ece": ece,
    "type_1_error": type_1_error,
    "type_2_error": type_2_error,
    "tpr_at_1_fpr": tpr_at(0.01),
    "tpr_at_5_fpr": tpr_at(0.05),
    "reward": reward,
}

RATES: Mapping[str, float] = {"tpr_at_1_fpr": 0.01, "tpr_at_5_fpr": 0.05}  # false alarms allowed
THRESHOLDS: Mapping[str, Metric] = {name: threshold_at(rate) for name, rate in RATES.items()}

UNIT = (0.0, 1.0)
BOUNDS: Mapping[str, tuple[float, float]] = {"mcc": (-1.0, 1.0)}  # all others lie in UNIT
