"""How well a number tells synthetic from real: the ROC curve's area, for many weightings of the same items at once.

Scores (N,) are the higher the more synthetic, labels (N,) are 1 for synthetic and 0 for real, and weights `w_RN` (R, N)
count how often each item stands in each of R samples: a row of ones is the set itself, others are its bootstrap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def ratio(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where below is 0."""
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)


def steps(scores: Floats, labels: Ints, w_RN: Floats) -> tuple[Floats, Floats]:
    """Weights of synthetic and of real items at each distinct score, from the highest down: two arrays (R, G)."""
    order = np.argsort(-scores, kind="stable")
    first = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    sorted_RN = w_RN[:, order]
    positive = sorted_RN * (labels[order] == 1)
    return np.add.reduceat(positive, first, axis=1), np.add.reduceat(sorted_RN - positive, first, axis=1)


def auc(scores: Floats, labels: Ints, w_RN: Floats) -> Floats:
    """Area under the ROC curve (R,), 0..1; ties count half (Mann-Whitney U). NaN where a label has no weight."""
    positive, negative = steps(scores, labels, w_RN)
    below = np.cumsum(positive, axis=1) - positive / 2
    return ratio((below * negative).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def plain_auc(scores: Floats, labels: Ints) -> float:
    """The area with every item counted once; 0.5 where a label is missing. Raises ValueError for a score of NaN."""
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    if len(set(labels.tolist())) < 2:
        return 0.5
    return float(auc(scores, labels, np.ones((1, len(scores))))[0])
