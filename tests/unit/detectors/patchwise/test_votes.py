"""The rules that join verdicts on patches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detectors.patchwise import votes
from detectors.patchwise.votes import Floats
from subnet.errors import DataError

LOG_ODDS = st.floats(-30, 30).map(lambda value: round(value, 3))
SIZES = st.tuples(st.integers(1, 5), st.integers(1, 16))
ANSWERS = SIZES.flatmap(lambda size: arrays(np.float64, size, elements=LOG_ODDS))


@given(ANSWERS)
def test_a_tie_says_synthetic(x: Floats) -> None:
    """The majority is what counting says, and as many for as against is synthetic."""
    for row, verdict in zip(x, votes.majority(x), strict=True):
        count = Counter((row > 0).tolist())
        assert verdict == (count[True] >= count[False])
    tied = np.concatenate([np.abs(x) + 1, -np.abs(x) - 1], axis=1)
    assert votes.majority(tied).all()


@given(ANSWERS, st.floats(0, 1))
def test_reliable_patches_decide_and_all_where_none_is(x: Floats, threshold: float) -> None:
    """Kept are those with |p_real - p_synthetic| above the threshold; a picture without any keeps all."""
    kept = votes.above(x, threshold)
    p = 1 / (1 + np.exp(-x))
    for row, gap, flags in zip(x, np.abs(p - (1 - p)), kept, strict=True):
        sure = np.abs(np.tanh(row / 2)) > threshold
        assert flags.all() if not sure.any() else (flags == sure).all()
        np.testing.assert_allclose(gap, votes.reliability(row[None])[0], atol=1e-12)
    assert votes.above(x, 1.0).all()


@given(ANSWERS, st.floats(0.01, 1))
def test_the_top_share_holds_the_most_reliable(x: Floats, share: float) -> None:
    """No patch that is left out is more reliable than one that is kept; one is always kept, at a share of 1 all."""
    kept = votes.top(x, share)
    counts = set(kept.sum(axis=1).tolist())
    assert len(counts) == 1
    assert max(1, share * x.shape[1] - 1e-6) <= counts.pop() < share * x.shape[1] + 1
    sure = votes.reliability(x)
    for row, flags in zip(sure, kept, strict=True):
        assert flags.all() or row[flags].min() >= row[~flags].max()
    assert votes.top(x, 1.0).all()


@given(ANSWERS)
def test_an_odd_number_has_no_ties(x: Floats) -> None:
    """Of an odd number of patches the verdict is turned by turning them all; an even number is refused."""
    bare = np.where(x == 0, 1.0, x)
    for count in range(1, x.shape[1] + 1):
        if count % 2:
            assert (votes.of_first(bare, count) != votes.of_first(-bare, count)).all()
        else:
            with pytest.raises(ValueError, match="odd"):
                votes.of_first(bare, count)
    with pytest.raises(ValueError, match="odd"):
        votes.of_first(bare, x.shape[1] + 1 + x.shape[1] % 2)


@given(ANSWERS)
def test_a_mean_of_kept_patches(x: Floats) -> None:
    """Without a choice the mean is numpy's, with one it is that of the patches kept."""
    np.testing.assert_allclose(votes.mean_log_odds(x), x.mean(axis=1))
    kept = votes.top(x, 0.5)
    expected = [row[flags].mean() for row, flags in zip(x, kept, strict=True)]
    np.testing.assert_allclose(votes.mean_log_odds(x, kept), expected, atol=1e-9)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_random_places_lie_inside(height: int, width: int, patch: int, seed: int) -> None:
    """Every patch lies in the picture; one that is larger than it is refused with the fix."""
    rng = np.random.default_rng(seed)
    if patch > min(height, width):
        with pytest.raises(DataError, match=f"at most {min(height, width)}"):
            votes.random_places(rng, 3, height, width, patch)
        return
    places = votes.random_places(rng, 50, height, width, patch)
    assert places.shape == (50, 2)
    assert places.min() >= 0
    assert (places + patch <= [height, width]).all()
    if height == patch + 1:
        assert set(places[:, 0].tolist()) == {0, 1}


def test_shares_are_shares() -> None:
    """A share of nothing or of more than all is refused."""
    with pytest.raises(ValueError, match="share"):
        votes.top(np.zeros((1, 3)), 0.0)
