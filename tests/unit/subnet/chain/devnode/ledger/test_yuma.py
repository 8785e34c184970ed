"""Yuma consensus: worked by hand where that is possible, and by property where it is not.

`test_epoch.py` holds a whole epoch against a reference that was written apart from the code.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.chain.devnode.ledger.yuma import ONE, Yuma, normal, u16, yuma

N = 5
stakes = st.lists(st.sampled_from([0, 1, 2, 5, 100]), min_size=N, max_size=N).map(normal)
matrices = st.lists(st.dictionaries(st.integers(0, N - 1), st.integers(0, 65535)), min_size=N, max_size=N)
NOBODY: list[dict[int, int]] = [{}] * N


def rows(**by_validator: dict[int, int]) -> list[dict[int, int]]:
    """rows(v0={2: 1}) is what validator 0 gives; the others give nothing."""
    return [by_validator.get(f"v{validator}", {}) for validator in range(N)]


def shares(values: object) -> list[float]:
    return [value / ONE for value in values]  # type: ignore[attr-defined]


def test_agreement_pays_in_proportion() -> None:
    """When all validators say the same, incentive is what they say, and dividends follow stake."""
    row = {2: 3, 3: 1}
    result = yuma(normal([3, 1, 0, 0, 0]), rows(v0=row, v1=row), NOBODY)
    assert shares(result.incentive) == [0, 0, 0.75, 0.25, 0]
    assert shares(result.dividends) == pytest.approx([0.75, 0.25, 0, 0, 0])
    assert shares(result.consensus) == [0, 0, 0.75, 0.25, 0]
    assert [u16(value) for value in result.incentive] == [0, 0, 49151, 16383, 0]  # 49151.25 and 16383.75, cut off


def test_a_minority_cannot_pay_its_friend() -> None:
    """What only 40 % of the stake supports is clipped to zero."""
    result = yuma(normal([6, 4, 0, 0, 0]), rows(v0={2: 1}, v1={4: 1}), NOBODY)
    assert result.incentive == [0, 0, ONE, 0, 0]
    assert result.dividends == [ONE, 0, 0, 0, 0]
    assert result.validator_trust == [ONE, 0, 0, 0, 0]


def test_half_of_the_stake_is_enough() -> None:
    """Kappa is 32767 of 65535, a little under one half: an even split supports both sides."""
    result = yuma(normal([1, 1, 0, 0, 0]), rows(v0={2: 1}, v1={4: 1}), NOBODY)
    assert result.consensus == [0, 0, ONE, 0, ONE]
    assert result.incentive == [0, 0, ONE // 2, 0, ONE // 2]


def test_partial_overweight_is_cut_to_the_median() -> None:
    """The weight above what half of the stake supports does not count."""
    even = {2: 1, 3: 1}
    result = yuma(normal([1, 1, 1, 0, 0]), rows(v0=even, v1=even, v2={3: 1}), NOBODY)
    # consensus .5 and .5; ranks (2 * .5) / 3 and (2 * .5 + .5) / 3
    assert shares(result.incentive) == pytest.approx([0, 0, 0.4, 0.6, 0])


def test_bonds_follow_slowly() -> None:
    """A tenth of the new weights comes in per epoch; stored bonds are scaled so that the largest of a miner is one."""
    result = yuma(normal([1, 1, 0, 0, 0]), rows(v1={2: 1}), rows(v0={2: 65535}))
    assert shares(result.dividends) == pytest.approx([0.9, 0.1, 0, 0, 0])
    assert result.bonds[0] == {2: ONE}
    assert result.bonds[1][2] / ONE == pytest.approx(1 / 9)


@pytest.mark.parametrize(("stake", "weights"), [([0] * N, [{4: 1}] * N), ([1] * N, NOBODY)])
def test_nobody_votes(stake: list[int], weights: list[dict[int, int]]) -> None:
    """No stake or no weights pays nobody, and divides by nothing."""
    result = yuma(normal(stake), weights, NOBODY)
    assert not any(result.incentive)
    assert not any(result.dividends)


@given(stakes, matrices, matrices)
def test_shares(stake: list[int], weights: list[dict[int, int]], bonds: list[dict[int, int]]) -> None:
    """Incentive and dividends are shares of one, but for what is cut off, or nothing; all parts stay in 0..1."""
    result = yuma(stake, weights, bonds)
    for share in (result.incentive, result.dividends):
        assert min(share) >= 0
        assert ONE - N < sum(share) <= ONE or not any(share)
    for part in (result.consensus, result.validator_trust, *(row.values() for row in result.bonds)):
        assert all(0 <= value <= ONE for value in part)


@given(stakes, matrices, st.permutations(range(N)))
def test_uids_are_only_names(stake: list[int], weights: list[dict[int, int]], order: list[int]) -> None:
    """Renumbering the neurons renumbers the result, to the last bit."""
    plain = yuma(stake, weights, NOBODY)
    place = {uid: position for position, uid in enumerate(order)}
    renumbered = [{place[uid]: value for uid, value in weights[validator].items()} for validator in order]
    moved = yuma([stake[uid] for uid in order], renumbered, NOBODY)
    assert list(moved.incentive) == [plain.incentive[uid] for uid in order]
    assert list(moved.dividends) == [plain.dividends[uid] for uid in order]


@given(stakes, matrices)
def test_rounding_stays_small(stake: list[int], weights: list[dict[int, int]]) -> None:
    """Incentive differs from what exact fractions give, for the same consensus, by less than one 65535th."""
    result = yuma(stake, weights, NOBODY)
    totals = [sum(row.values()) for row in weights]
    ranks = [Fraction(0)] * N
    for validator, row in enumerate(weights):
        for uid, value in row.items():
            exact = Fraction(value, totals[validator] or 1)
            ranks[uid] += Fraction(stake[validator], ONE) * min(exact, Fraction(result.consensus[uid], ONE))
    total = sum(ranks)
    for uid in range(N):
        if total > Fraction(1, 1000):
            assert abs(ranks[uid] / total - Fraction(result.incentive[uid], ONE)) < Fraction(1, 65535)


def test_a_full_subnet_is_fast() -> None:
    """256 neurons, 64 of them validators with full rows: the result is one record per uid (0.2 s; no clock here)."""
    weights: list[dict[int, int]] = [{uid: uid + v for uid in range(256)} if v < 64 else {} for v in range(256)]
    result = yuma(normal([1] * 64 + [0] * 192), weights, weights)
    assert isinstance(result, Yuma)
    assert len(result.bonds) == len(result.incentive) == 256
    assert sum(result.incentive) > ONE - 256
