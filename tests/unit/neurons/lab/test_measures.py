"""What is computed from shares and scores."""

from __future__ import annotations

import numpy as np
import pytest

from neurons.lab.measures import answers_for, bound, from_then_on, gain, gini, right_order, spread


def test_gini_of_the_extremes() -> None:
    """0 for equals, 1 - 1/n when one has everything, 0 when nobody has anything."""
    assert gini([1, 1, 1, 1]) == pytest.approx(0)
    assert gini([0, 0, 0, 1]) == pytest.approx(0.75)
    assert gini([0, 0]) == 0


def test_the_bound_is_what_counting_reaches() -> None:
    """200 answers each tell .90 from .93 in 86 % of cases, 466 in 95 %; a simulation of counts agrees."""
    assert bound(200) == pytest.approx(0.859, abs=0.001)
    assert answers_for(0.95) == 467
    assert bound(answers_for(0.95)) >= 0.95 > bound(answers_for(0.95) - 2)
    rng = np.random.default_rng(1)
    low, high = rng.binomial(200, 0.90, 40_000), rng.binomial(200, 0.93, 40_000)
    assert np.mean((high > low) + 0.5 * (high == low)) == pytest.approx(bound(200), abs=0.01)


def test_order_counts_ties_by_half() -> None:
    """Pairs over both groups."""
    assert right_order([1, 2], [2, 3]) == pytest.approx(0.875)


@pytest.mark.parametrize(
    ("values", "expected"), [([0.9, 0.96, 0.97], 2), ([0.96, 0.9, 0.97], 3), ([1, 1, 1], 1), ([1, 1, 0], None)]
)
def test_from_then_on(values: list[float], expected: int | None) -> None:
    """A value that falls back once has not been reached before."""
    assert from_then_on([1, 2, 3], values, 0.95) == expected


def test_a_gain_counts_effort_and_idleness() -> None:
    """Half the work for half the pay is no gain; what doing nothing would bring is taken off."""
    assert gain([0.5] * 4, [1.0] * 4, 0.5).factor == pytest.approx(1)
    assert gain([0.75] * 4, [1.0] * 4, 0.5, idle=0.25).factor == pytest.approx(1)
    assert gain([0.6] * 4, [1.0] * 4, 0.5).pays
    assert not gain([0.4, 1.0], [0.6, 0.7], 1.0).pays  # noise


def test_spread() -> None:
    """Mean and quantiles."""
    assert spread(list(range(101))).low == pytest.approx(5)
