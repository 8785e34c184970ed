"""How well masks agree: F1 and intersection over union of pixels, as scikit-learn has them. Masks (..., H, W)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.pixels.composites import Mask

Floats = NDArray[np.float64]


def f1(called: Mask, truth: Mask) -> Floats:
    """2 |A and B| / (|A| + |B|), 0..1, of each pair of masks; 1 where both are empty."""
    both, total = _count(called & truth), _count(called) + _count(truth)
    return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)


def iou(called: Mask, truth: Mask) -> Floats:
    """|A and B| / |A or B|, 0..1, of each pair of masks; 1 where both are empty."""
    both, either = _count(called & truth), _count(called | truth)
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def _count(mask: Mask) -> Floats:
    counts: Floats = mask.sum(axis=(-2, -1)).astype(np.float64)
    return counts
