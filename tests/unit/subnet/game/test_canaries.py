"""Memory or judgement: the gap between public and fresh media, and its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from subnet.game.canaries import Gap, Hits, gap, wilson

HITS = st.integers(1, 200).flatmap(lambda n: st.integers(0, n).map(lambda right: Hits(right, n)))


@given(HITS)
def test_one_share_has_wilsons_interval(hits: Hits) -> None:
    """The limits are scipy's."""
    expected = binomtest(hits.right, hits.asked).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(hits), (expected.low, expected.high), atol=1e-9)


def test_the_published_example() -> None:
    """56/70 against 48/80: 0.2 with 0.0524 to 0.3339 (Newcombe 1998, table II, method 10, contrast a)."""
    found = gap([(Hits(56, 70), Hits(48, 80))])
    assert found is not None
    assert (found.public, found.fresh) == (Hits(56, 70), Hits(48, 80))
    np.testing.assert_allclose((found.difference, found.low, found.high), (0.2, 0.0524, 0.3339), atol=5e-5)


@given(st.lists(st.tuples(HITS, HITS), min_size=1, max_size=4))
def test_the_interval_holds_the_difference(strata: list[tuple[Hits, Hits]]) -> None:
    """Exchanging public and fresh turns the sign of everything."""
    found, turned = gap(strata), gap([(fresh, public) for public, fresh in strata])
    assert found is not None
    assert turned is not None
    assert found.low - 1e-9 <= found.difference <= found.high + 1e-9
    assert math.isclose(found.low, -turned.high, abs_tol=1e-12)


def test_another_mix_of_kinds_is_no_gap() -> None:
    """A miner that is better at one kind, of which more is public, has no gap (Simpson's paradox)."""
    strata = [(Hits(90, 100), Hits(9, 10)), (Hits(5, 10), Hits(50, 100))]
    found = gap(strata)
    assert found is not None
    assert found.difference == pytest.approx(0.0)
    assert found.public.share > found.fresh.share + 0.2


def test_a_kind_with_one_side_says_nothing() -> None:
    """Only kinds of which both were asked count; without any there is no gap."""
    assert gap([(Hits(5, 5), Hits()), (Hits(), Hits(3, 3))]) is None
    both = (Hits(4, 5), Hits(1, 5))
    assert gap([both, (Hits(50, 50), Hits())]) == gap([both])
    assert gap([]) is None


def test_intervals_cover_the_truth() -> None:
    """Of 1,000 simulated miners whose gap is .1, the interval over two kinds holds it in 93 to 97.5 %."""
    rng = np.random.default_rng(3)

    def draw(p: float, n: int) -> Hits:
        return Hits(int(rng.binomial(n, p)), n)

    gaps = [gap([(draw(0.9, 60), draw(0.8, 90)), (draw(0.7, 30), draw(0.6, 70))]) for _ in range(1000)]
    held = sum(isinstance(g, Gap) and g.low <= 0.1 <= g.high for g in gaps)
    assert 930 <= held <= 975
