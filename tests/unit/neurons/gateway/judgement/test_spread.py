"""How far answers about one file lie apart, and whether intervals hold what other answers would have come to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import invgamma

from neurons.gateway.judgement.aggregation import Aggregate, Verdict, aggregate
from neurons.gateway.judgement.skill import Ballot, Skills, measure
from neurons.gateway.judgement.spread import FIRM, Spread, spread_of
from subnet.types import Label

EVIDENCE = st.lists(st.floats(-7, 7), min_size=1, max_size=8)
MINERS = 24


def test_it_finds_the_spread_that_questions_were_drawn_with() -> None:
    """Variances that are scaled inverse chi-squared of known freedom give it back, to a fifth."""
    rng = np.random.default_rng(1)
    variances = invgamma(5 / 2, scale=5 * 0.8 / 2).rvs(4000, random_state=rng)
    found = spread_of([rng.normal(size=5) * math.sqrt(each) for each in variances])
    assert found.variance == pytest.approx(0.8, rel=0.1)
    assert found.freedom == pytest.approx(5, rel=0.2)


def test_questions_that_are_all_alike_are_firm() -> None:
    """Where no question spreads more than chance has it, the earlier ones count as much as they may."""
    rng = np.random.default_rng(2)
    found = spread_of(rng.normal(size=(4000, 5)).tolist())
    assert found.variance == pytest.approx(1.0, rel=0.05)
    assert found.freedom > FIRM / 2


@pytest.mark.parametrize("questions", [[], [[1.0]], [[1.0], [2.0]], [[0.0, 3.0]]])
def test_too_few_questions_tell_nothing(questions: list[list[float]]) -> None:
    """Single answers, and one question, leave what is assumed before."""
    assert spread_of(questions) == Spread()


@given(st.lists(EVIDENCE, max_size=12), EVIDENCE)
def test_any_questions_give_a_reach(questions: list[list[float]], said: list[float]) -> None:
    """Equal answers, one answer, wild ones: the reach is a positive number, and equal answers are not certain."""
    reach = spread_of(questions).of_another(said)
    assert math.isfinite(reach)
    assert reach > 0


@given(EVIDENCE, st.floats(-5, 5), st.randoms(use_true_random=False))
def test_only_differences_between_answers_count(said: list[float], shift: float, order: object) -> None:
    """All of them stronger by the same is no more spread, nor is another order."""
    moved = [each + shift for each in said]
    order.shuffle(moved)  # type: ignore[attr-defined]
    assert Spread().of_another(moved) == pytest.approx(Spread().of_another(said), rel=1e-6, abs=1e-9)


def test_the_reach_holds_another_draw() -> None:
    """Of questions as wide as one another, or some wide and some narrow, 95 of 100 sums of others lie within it."""
    rng = np.random.default_rng(3)
    for freedom in (3.0, 30.0):
        variances = invgamma(freedom / 2, scale=freedom * 0.5 / 2).rvs(4000, random_state=rng)
        answers = rng.normal(size=(4000, 2, 4)) * np.sqrt(variances)[:, None, None]
        known = spread_of(answers[:2000, 0].tolist())
        held = [abs(one.sum() - other.sum()) <= known.of_another(one.tolist()) for one, other in answers[2000:]]
        assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def question(rng: np.random.Generator, label: Label, *, cuts: float) -> dict[str, list[float]]:
    """P(synthetic) by miner to two requests about one file: how it looks to each, and to each cut, differs."""
    looks = (2 * label - 1) * 1.2 + rng.normal() + rng.normal(size=MINERS)
    said = 1 / (1 + np.exp(-(looks + math.sqrt(cuts) * rng.normal(size=(2, MINERS)))))
    return {f"m{n}": said[:, n].tolist() for n in range(MINERS)}


@pytest.mark.parametrize("cuts", [0.0, 0.5])
@pytest.mark.parametrize("count", [3, 5])
def test_who_asks_again_gets_an_answer_within_the_interval(count: int, cuts: float) -> None:
    """Other miners, other cuts: 93 of 100 answers at least lie in the interval of the first, which is no whole range;
    of verdicts nine in ten are said of the same side again, and hardly any is turned into its contrary."""
    rng = np.random.default_rng(4)
    labels = [Label(int(each)) for each in rng.integers(2, size=800)]
    told = [question(rng, label, cuts=cuts) for label in labels]
    skills = measure([past(rng, label, said) for label, said in zip(labels[:400], told[:400], strict=True)])
    pairs = [both(rng, said, count, skills) for said in told[400:]]
    held = [first.low <= again.p_synthetic <= first.high for first, again in pairs]
    contrary = [{first.verdict, again.verdict} == {Verdict.SYNTHETIC, Verdict.NO_TRACE_FOUND} for first, again in pairs]
    told_sides = [
        (first.p_synthetic > 0.5) == (again.p_synthetic > 0.5)
        for first, again in pairs
        if first.verdict is not Verdict.UNCERTAIN
    ]
    assert np.mean(held) >= 0.93
    assert len(told_sides) > 20
    assert np.mean(told_sides) >= 0.9
    assert np.median([first.high - first.low for first, _ in pairs]) < 0.95
    assert np.mean(contrary) < 0.01


def past(rng: np.random.Generator, label: Label, said: dict[str, list[float]]) -> Ballot:
    names = rng.permutation(sorted(said)).tolist()
    return Ballot(label, {name: said[name][0] for name in names})


def both(
    rng: np.random.Generator, said: dict[str, list[float]], count: int, skills: Skills
) -> tuple[Aggregate, Aggregate]:
    """Two requests, each to miners drawn anew."""
    draws = [rng.choice(sorted(said), count, replace=False).tolist() for _ in range(2)]
    first, again = (aggregate({name: said[name][n] for name in names}, skills) for n, names in enumerate(draws))
    return first, again
