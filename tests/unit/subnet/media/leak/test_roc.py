"""The area under the ROC curve, with and without weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from subnet.media.leak.roc import auc, plain_auc

ITEMS = st.lists(st.tuples(st.integers(-3, 3) | st.floats(-1e6, 1e6), st.integers(0, 1), st.integers(0, 4)), min_size=2)


@given(ITEMS)
def test_the_area_is_scikit_learns(items: list[tuple[float, int, int]]) -> None:
    """Ties count half, as in scikit-learn; without one of the labels it is chance."""
    scores, labels, _ = (np.array(column) for column in zip(*items, strict=True))
    expected = roc_auc_score(labels, scores) if len(set(labels)) == 2 else 0.5
    assert plain_auc(scores.astype(float), labels) == pytest.approx(expected, abs=1e-12)


@given(ITEMS)
def test_weights_count_items(items: list[tuple[float, int, int]]) -> None:
    """A whole weight is an item that stands there so often, in each row alone; a label without weight gives NaN."""
    scores, labels, weights = (np.array(column) for column in zip(*items, strict=True))
    rows = np.stack([weights, np.ones_like(weights)]).astype(float)
    found = auc(scores.astype(float), labels, rows)
    for value, row in zip(found, rows.astype(int), strict=True):
        copies = np.repeat(labels, row)
        if len(set(copies)) < 2:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(plain_auc(np.repeat(scores, row).astype(float), copies), abs=1e-12)


def test_a_score_that_is_not_a_number() -> None:
    """A network that diverged has no rank."""
    with pytest.raises(ValueError, match="not a number"):
        plain_auc(np.array([0.0, np.nan]), np.array([0, 1]))
