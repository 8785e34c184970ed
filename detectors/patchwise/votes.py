"""How verdicts on patches become one on the picture: pure rules on log-odds x (N, P) of P patches of N pictures.

A patch is called synthetic above log-odds of 0. Its reliability is |P(real) - P(synthetic)|, 0..1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from subnet.errors import DataError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


def majority(x: Floats, kept: Flags | None = None) -> Flags:
    """(N,) whether at least half of the patches, or of those that are `kept` (N, P), are synthetic: a tie says so."""
    chosen = np.ones(x.shape, dtype=bool) if kept is None else kept
    verdict: Flags = 2 * ((x > 0) & chosen).sum(axis=1) >= chosen.sum(axis=1)
    return verdict


def mean_log_odds(x: Floats, kept: Flags | None = None) -> Floats:
    """(N,) the mean over the patches, or over those that are `kept` (N, P)."""
    mean: Floats = np.average(x, axis=1, weights=None if kept is None else kept.astype(np.float64))
    return mean


def reliability(x: Floats) -> Floats:
    """|P(real) - P(synthetic)| of every patch: |tanh(x / 2)|, in 0..1."""
    sure: Floats = np.abs(np.tanh(x / 2))
    return sure


def above(x: Floats, threshold: float) -> Flags:
    """Which patches are more reliable than `threshold`; all of a picture where none is."""
    kept = reliability(x) > threshold
    return kept | ~kept.any(axis=1, keepdims=True)


def top(x: Floats, share: float) -> Flags:
    """Which patches are among the `share` (0..1] of a picture's that are most reliable, at least one; ties in order."""
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], not {share}")
    count = max(1, math.ceil(share * x.shape[1] - 1e-9))
    order = np.argsort(-reliability(x), axis=1, kind="stable")
    kept = np.zeros(x.shape, dtype=bool)
    np.put_along_axis(kept, order[:, :count], True, axis=1)
    return kept


def of_first(x: Floats, count: int) -> Flags:
    """(N,) majority of the first `count` patches, which must be odd and at most P, so that there are no ties."""
    if count % 2 == 0 or not 1 <= count <= x.shape[1]:
        raise ValueError(f"an odd number of patches of 1 to {x.shape[1]} is needed, not {count}")
    return majority(x[:, :count])


def random_places(rng: np.random.Generator, count: int, height: int, width: int, patch: int) -> Ints:
    """(count, 2) tops and lefts of patches anywhere in a picture, all places alike; they may overlap.

    Raises DataError for a patch that is larger than the picture.
    """
    if patch > min(height, width):
        raise DataError(
            f"patch: {patch} pixels a side do not fit into a picture of {width}x{height}; "
            f"take patches of at most {min(height, width)}"
        )
    tops, lefts = rng.integers(height - patch + 1, size=count), rng.integers(width - patch + 1, size=count)
    return np.stack([tops, lefts], axis=1).astype(np.int64)
