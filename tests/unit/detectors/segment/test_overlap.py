"""Agreement of masks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from detectors.segment.overlap import f1, iou


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 1.0])
def test_they_are_scikit_learns(share: float) -> None:
    """Each pair of a stack of masks has scikit-learn's F1 and Jaccard index."""
    rng = np.random.default_rng(0)
    called, truth = rng.random((4, 9, 11)) < 0.5, rng.random((4, 9, 11)) < share
    for number in range(4):
        pair = truth[number].ravel(), called[number].ravel()
        assert f1(called, truth)[number] == pytest.approx(f1_score(*pair))
        assert iou(called, truth)[number] == pytest.approx(jaccard_score(*pair))


def test_nothing_to_find_and_nothing_called() -> None:
    """Two empty masks agree."""
    empty = np.zeros((1, 3, 3), dtype=bool)
    assert f1(empty, empty) == iou(empty, empty) == 1
    assert f1(empty, ~empty) == iou(~empty, empty) == 0
