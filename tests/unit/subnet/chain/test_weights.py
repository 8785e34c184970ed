"""Weights in u16: the properties that a validator and the chain rely on."""

from __future__ import annotations

import math

import pytest
from bittensor.intents import normalize
from bittensor.intents.weights import clip_to_max_weight
from hypothesis import given
from hypothesis import strategies as st

from subnet.chain.weights import clip, normalise_u16
from subnet.types import U16

weights = st.dictionaries(st.integers(0, U16), st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=64).filter(
    lambda w: max(w.values()) > 1e-290
)


@given(weights)
def test_it_is_what_the_sdk_submits(given_weights: dict[int, float]) -> None:
    """Equal, unit for unit, to the SDK's own conversion."""
    uids = sorted(given_weights)
    expected = dict(zip(*normalize(uids, [given_weights[uid] for uid in uids]), strict=True))
    assert normalise_u16(given_weights) == expected


@given(weights)
def test_converting_twice_changes_nothing(given_weights: dict[int, float]) -> None:
    """What stands on chain, set again, stays the same."""
    once = normalise_u16(given_weights)
    assert normalise_u16({uid: float(value) for uid, value in once.items()}) == once


@given(weights, st.floats(1e-3, 1e3))
def test_only_ratios_count(given_weights: dict[int, float], scale: float) -> None:
    """A common factor moves no value by more than one unit, and the largest is always 65535."""
    once = normalise_u16(given_weights)
    scaled = normalise_u16({uid: weight * scale for uid, weight in given_weights.items()})
    assert max(once.values()) == U16
    for uid in given_weights:
        assert abs(once.get(uid, 0) - scaled.get(uid, 0)) <= 1


@given(weights)
def test_order_is_kept_and_zeros_drop(given_weights: dict[int, float]) -> None:
    """A larger weight never gets less; no zero is left in."""
    once = normalise_u16(given_weights)
    assert all(value > 0 for value in once.values())
    ranked = sorted(given_weights, key=lambda uid: given_weights[uid])
    values = [once.get(uid, 0) for uid in ranked]
    assert values == sorted(values)


@pytest.mark.parametrize("bad", [{}, {1: 0.0}, {1: -0.1}, {1: math.nan}, {1: math.inf}, {-1: 1.0}, {65536: 1.0}])
def test_unusable_weights(bad: dict[int, float]) -> None:
    """They raise ValueError rather than become something else."""
    with pytest.raises(ValueError, match=r"weight|uid"):
        normalise_u16(bad)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=32), st.floats(0.01, 1))
def test_clipping_respects_the_limit(given_weights: list[int], limit: float) -> None:
    """No share exceeds the limit where that is possible, as with the SDK's own clip; order is kept."""
    given_shares = {uid: weight / max(given_weights) for uid, weight in enumerate(given_weights)}
    clipped = clip(given_shares, limit)
    shares = [value / math.fsum(clipped.values()) for value in clipped.values()]
    assert shares == pytest.approx(clip_to_max_weight(given_weights, limit), abs=1e-3)
    assert max(shares) <= max(limit, 1 / len(shares)) + 1e-9
    ranked = sorted(clipped, key=lambda uid: given_shares[uid])
    assert [clipped[uid] for uid in ranked] == sorted(clipped.values())


def test_clipping_by_hand() -> None:
    """Half of the sum at most: 8, 1, 1 becomes 2, 1, 1."""
    assert clip({5: 1.0, 6: 0.125, 7: 0.125}, 0.5) == pytest.approx({5: 0.25, 6: 0.125, 7: 0.125})
    assert normalise_u16({5: 8, 6: 1, 7: 1}, max_weight_limit=32768) == {5: 65535, 6: 32767, 7: 32767}
    assert normalise_u16({5: 8}, max_weight_limit=100) == {5: 65535}
