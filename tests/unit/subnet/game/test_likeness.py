"""Who answers alike: honest crowds stay apart at the stated rate, copies and relays are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from subnet.game.answer_table import AnswerTable, tabulate
from subnet.game.likeness import compare, discoveries, likeness, normal_scores
from tests.unit.subnet.game.crowds import crowd

COPIES = ("m000", "m001", "m002")


@given(st.lists(st.floats(0, 1), max_size=40), st.sampled_from([0.01, 0.05, 0.3]))
def test_discoveries_are_those_of_scipy(p_values: list[float], rate: float) -> None:
    """The step-up rule rejects where scipy's adjusted p-value is at most the rate, but for rounding at the border."""
    if not p_values:
        assert discoveries(np.array([]), rate).size == 0
        return
    adjusted = false_discovery_control(np.array(p_values))
    clear = np.abs(adjusted - rate) > 1e-12
    np.testing.assert_array_equal(discoveries(np.array(p_values), rate)[clear], (adjusted <= rate)[clear])


def test_an_honest_crowd_keeps_the_stated_rate() -> None:
    """Of 20 crowds of 40 honest miners (780 pairs each) at a rate of 5 % about one may have a wrong link.

    Where nobody copies, every link is wrong, and the false discovery rate is the share of crowds with any. Five of 20
    at a true rate of 5 % happen once in 400 times.
    """
    assert sum(bool(likeness(crowd(seed), 0.05).links) for seed in range(20)) <= 4


@pytest.mark.parametrize("rounded", [0.0, 1.0])
def test_honest_crowds_of_one_kind_of_answer_stay_apart(rounded: float) -> None:
    """Neither test alone links honest miners: values where nobody rounds, errors where all answer 0 or 1."""
    assert sum(bool(likeness(crowd(100 + seed, rounded=rounded), 0.05).links) for seed in range(8)) <= 2


def test_beside_copies_few_links_are_wrong() -> None:
    """Over six crowds with three copies, links of honest miners are at most the stated share, plus one for luck."""
    links = [link for seed in range(6) for link in likeness(crowd(seed, copies=3, noise=0.3), 0.05).links]
    wrong = [link for link in links if not {link.first, link.second} <= set(COPIES)]
    assert len(links) >= 12
    assert len(wrong) <= 0.05 * len(links) + 1


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_copies_are_one_cluster(noise: float) -> None:
    """Three hotkeys with one model, asked of other variants, are found with 150 shared items, whatever their slopes."""
    found = likeness(crowd(4, copies=3, noise=noise))
    assert found.clusters == (COPIES,)
    assert found.cluster_of["m001"] == COPIES
    assert all(link.correlation is not None and link.correlation > 0.8 for link in found.links)
    assert [link.p_value for link in found.links] == sorted(link.p_value for link in found.links)


def test_copies_that_round_are_found_by_their_errors() -> None:
    """Answers of 0 and 1 hide values; common errors remain."""
    table = crowd(4, copies=3, rounds=2000)
    p = np.where(np.isnan(table.p), np.nan, table.p > 0.5)
    found = likeness(replace(table, p=p))
    assert found.clusters == (COPIES,)
    assert all(link.correlation is None and link.errors > 1.5 * link.expected for link in found.links)


def test_a_relay_is_found_whatever_it_does_to_the_number() -> None:
    """A monotone change of copied answers leaves the evidence as it is, to rounding."""
    table = crowd(7, copies=2)
    changed = np.array(table.p)
    changed[1] = changed[1] ** 3
    np.testing.assert_allclose(compare(table).correlation, compare(replace(table, p=changed)).correlation)


def test_nobody_is_compared_on_too_little() -> None:
    """Fewer than a dozen shared items, one miner, none at all: no pairs, no links, no warning."""
    assert likeness(crowd(1, rounds=8, miners=10, asked=10)).pairs == 0
    assert likeness(crowd(1, rounds=50, miners=1, asked=1)).pairs == 0
    assert likeness(tabulate([])).links == ()


def test_equal_answers_of_everybody_say_nothing() -> None:
    """A crowd of constants has no values to rank; all err alike, and the items' difficulty explains it."""
    p = np.full((6, 200), 0.5)
    assert likeness(AnswerTable(tuple("abcdef"), p, np.tile([0, 1], 100))).links == ()


def test_the_order_of_miners_does_not_matter() -> None:
    """The same answers give the same links in whatever order the rows stand."""
    table = crowd(4, copies=3)
    turned = AnswerTable(table.hotkeys[::-1], table.p[::-1], table.kinds)
    assert likeness(turned).clusters == likeness(table).clusters


def test_scores_are_normal_within_a_kind() -> None:
    """Ranks of one miner's answers of one kind; ties share one; few or tied answers have none."""
    scores = normal_scores(AnswerTable(("a",), np.linspace(0, 1, 21)[None], np.zeros(21, np.int64)))
    np.testing.assert_allclose(scores, -scores[:, ::-1], atol=1e-12)
    assert np.all(np.diff(scores[0]) > 0)
    few = AnswerTable(("a",), np.linspace(0, 1, 9)[None], np.zeros(9, np.int64))
    assert np.isnan(normal_scores(few)).all()


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    """The message names it."""
    with pytest.raises(ValueError, match="false discovery rate"):
        likeness(crowd(1), rate)


@pytest.mark.parametrize("rounded", [0.0, 0.5])
def test_the_order_of_rounds_changes_no_bit(rounded: float) -> None:
    """Sums over items are exact, so that no machine's order of adding decides whom weights are shared with."""
    table = crowd(3, copies=3, rounded=rounded)
    order = np.random.default_rng(1).permutation(len(table.kinds))
    turned = AnswerTable(table.hotkeys, np.ascontiguousarray(table.p[:, order]), table.kinds[order])
    one, other = compare(table), compare(turned)
    np.testing.assert_array_equal(one.correlation, other.correlation)
    np.testing.assert_array_equal(one.p_values, other.p_values)
