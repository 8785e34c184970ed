"""Yuma consensus: worked by hand where that is possible, and by property where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from subnet.chain.devnode.ledger.yuma import yuma

N = 5
stakes = arrays(np.float64, N, elements=st.sampled_from([0.0, 1.0, 2.0, 5.0, 100.0]))
matrices = arrays(np.float64, (N, N), elements=st.integers(0, 65535).map(float))


def matrix(rows: dict[int, list[float]]) -> np.ndarray:
    weights = np.zeros((N, N))
    for validator, row in rows.items():
        weights[validator] = row
    return weights


def test_agreement_pays_in_proportion() -> None:
    """When all validators say the same, incentive is what they say, and dividends follow stake."""
    row = [0, 0, 3, 1, 0]
    result = yuma(np.array([3.0, 1, 0, 0, 0]), matrix({0: row, 1: row}), np.zeros((N, N)))
    assert result.incentive == pytest.approx([0, 0, 0.75, 0.25, 0])
    assert result.dividends == pytest.approx([0.75, 0.25, 0, 0, 0])
    assert result.consensus == pytest.approx([0, 0, 0.75, 0.25, 0])
    assert result.trust[2] == pytest.approx(1)


def test_a_minority_cannot_pay_its_friend() -> None:
    """What only 40 % of the stake supports is clipped to zero."""
    result = yuma(np.array([6.0, 4, 0, 0, 0]), matrix({0: [0, 0, 1, 0, 0], 1: [0, 0, 0, 0, 1]}), np.zeros((N, N)))
    assert result.incentive == pytest.approx([0, 0, 1, 0, 0])
    assert result.dividends == pytest.approx([1, 0, 0, 0, 0])
    assert result.validator_trust == pytest.approx([1, 0, 0, 0, 0])


def test_partial_overweight_is_cut_to_the_median() -> None:
    """The weight above what half of the stake supports does not count."""
    rows = {0: [0, 0, 0.5, 0.5, 0], 1: [0, 0, 0.5, 0.5, 0], 2: [0, 0, 0, 1.0, 0]}
    result = yuma(np.array([1.0, 1, 1, 0, 0]), matrix(rows), np.zeros((N, N)))
    # consensus .5 and .5; ranks (2 * .5) / 3 and (2 * .5 + .5) / 3
    assert result.incentive == pytest.approx([0, 0, 0.4, 0.6, 0])


def test_bonds_follow_slowly() -> None:
    """Bonds move by the rate towards the new weights, not at once."""
    old = matrix({0: [0, 0, 1, 0, 0]})
    result = yuma(np.array([1.0, 1, 0, 0, 0]), matrix({1: [0, 0, 1, 0, 0]}), old, bonds_rate=0.1)
    assert result.bonds[:, 2] == pytest.approx([0.9, 0.1, 0, 0, 0])


def test_nobody_votes() -> None:
    """No stake or no weights pays nobody, and divides by nothing."""
    for stake, weights in ((np.zeros(N), np.ones((N, N))), (np.ones(N), np.zeros((N, N)))):
        result = yuma(stake, weights, np.zeros((N, N)))
        assert not result.incentive.any()
        assert not result.dividends.any()


@given(stakes, matrices, matrices)
def test_shares(stake: np.ndarray, weights: np.ndarray, bonds: np.ndarray) -> None:
    """Incentive and dividends are shares of one or nothing; trust and consensus stay in 0..1."""
    result = yuma(stake, weights, bonds)
    for share in (result.incentive, result.dividends):
        assert share.min() >= 0
        assert share.sum() == pytest.approx(1) or not share.any()
    for part in (result.trust, result.consensus, result.validator_trust):
        assert part.min() >= 0
        assert part.max() <= 1 + 1e-9


@given(stakes, matrices, st.permutations(range(N)))
def test_uids_are_only_names(stake: np.ndarray, weights: np.ndarray, order: list[int]) -> None:
    """Renumbering the neurons renumbers the result."""
    plain = yuma(stake, weights, np.zeros((N, N)))
    moved = yuma(stake[order], weights[order][:, order], np.zeros((N, N)))
    assert moved.incentive == pytest.approx(plain.incentive[order], abs=1e-9)


@given(stakes, matrices, st.floats(0.001, 1000))
def test_scale_of_stake_does_not_matter(stake: np.ndarray, weights: np.ndarray, scale: float) -> None:
    """Only shares of stake count."""
    plain = yuma(stake, weights, np.zeros((N, N)))
    assert yuma(stake * scale, weights, np.zeros((N, N))).incentive == pytest.approx(plain.incentive, abs=1e-6)
