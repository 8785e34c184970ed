"""Several answers as one: what it is worth, what it says of its own doubt, and when it says nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.gateway.judgement.aggregation import Caution, Verdict, aggregate
from neurons.gateway.judgement.skill import TOGETHER, Ballot, Skills, measure
from tests.unit.neurons.gateway.judgement.worlds import told

SAID = st.dictionaries(
    st.sampled_from([*(f"m{n}" for n in range(6)), "new", "newer"]), st.floats(0, 1), min_size=1, max_size=TOGETHER
)


@cache
def skills(common: float = 0.0) -> Skills:
    return measure(told(600, common=common))


@given(SAID, st.randoms(use_true_random=False))
def test_order_does_not_matter(said: dict[str, float], random: object) -> None:
    """Replies come in any order, and give the same to the last bit."""
    names = list(said)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert aggregate({name: said[name] for name in names}, skills()) == aggregate(said, skills())


@given(SAID)
def test_an_interval_holds_its_answer(said: dict[str, float]) -> None:
    """0 < low <= p <= high < 1, agreement and weights in 0..1, and a verdict only where P is as sure as asked for."""
    result = aggregate(said, skills())
    assert 0 < result.low <= result.p_synthetic <= result.high < 1
    assert 0 <= result.agreement <= 1
    assert result.weights.keys() == said.keys()
    if result.verdict is Verdict.SYNTHETIC:
        assert result.p_synthetic >= Caution().confidence
    if result.verdict is Verdict.NO_TRACE_FOUND:
        assert result.p_synthetic <= 1 - Caution().confidence
    if result.verdict is not Verdict.UNCERTAIN:
        assert result.agreement > 0.5


@given(SAID, st.floats(0, 1))
def test_more_suspicion_never_lowers_the_answer(said: dict[str, float], other: float) -> None:
    """Nobody can move the answer to one side by saying more of the other."""
    name = min(said)
    low, high = sorted((said[name], other))
    assert aggregate({**said, name: low}, skills()).p_synthetic <= aggregate({**said, name: high}, skills()).p_synthetic


@pytest.mark.parametrize("common", [0.0, 0.5])
def test_it_is_calibrated_and_beats_a_drawn_miner(common: float) -> None:
    """Of files at 90 % about 90 % are synthetic, on questions not measured on; and any four beat the best of theirs."""
    truth, answers, best = [], [], []
    for ballot in told(1500, common=common, seed=1):
        said = dict(list(ballot.said.items())[:4])
        truth.append(int(ballot.label))
        answers.append(aggregate(said, skills(common)).p_synthetic)
        chosen = max(said, key=lambda name: skills(common)[name].information)
        best.append(aggregate({chosen: said[chosen]}, skills(common)).p_synthetic)
    y, p, q = map(np.asarray, (truth, answers, best))
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [abs(p[bins == b].mean() - y[bins == b].mean()) * np.mean(bins == b) for b in set(bins.tolist())]
    assert sum(gaps) < 0.04
    assert ((p - y) ** 2).mean() < ((q - y) ** 2).mean()


def test_fewer_answers_are_less_certain() -> None:
    """Miners that die one after another leave wider intervals and no bolder answers."""
    results = [aggregate({f"m{n}": 0.97 for n in range(count)}, skills(0.5)) for count in (4, 2, 1)]
    assert [r.p_synthetic for r in results] == sorted((r.p_synthetic for r in results), reverse=True)
    assert aggregate({"m4": 0.97}, skills(0.5)).verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize("questions", [40, 60, 100])
def test_little_was_measured_little_is_sure(questions: int) -> None:
    """After few questions P is as often right as it says, also where miners are sure, and less sure than after many."""
    known, truth, answers = measure(told(questions, common=0.0, seed=questions)), [], []
    for ballot in told(1500, common=0.0, seed=1):
        truth.append(int(ballot.label))
        answers.append(aggregate(dict(list(ballot.said.items())[:4]), known).p_synthetic)
    y, p = np.asarray(truth), np.asarray(answers)
    for sure, right in ((p > 0.97, y), (p < 0.03, 1 - y)):
        assert right[sure].mean() > 0.96
    all_sure = {f"m{n}": 0.999 for n in range(4)}
    assert aggregate(all_sure, known).p_synthetic < aggregate(all_sure, skills()).p_synthetic


def test_miners_that_disagree_give_no_verdict() -> None:
    """Two of equal skill against each other: about one half, agreement one half, uncertain."""
    result = aggregate({"m1": 0.99, "m2": 0.24}, skills())
    assert 0.2 < result.p_synthetic < 0.8
    assert (result.agreement, result.verdict) == (0.5, Verdict.UNCERTAIN)


def test_a_verdict_needs_answers_with_skill() -> None:
    """One skilled voice among random ones is one voice, however sure."""
    sure = {"m0": 0.999, "m1": 0.999}
    assert aggregate(sure, skills()).verdict is Verdict.SYNTHETIC
    assert aggregate(sure, skills(), Caution(least=3)).verdict is Verdict.UNCERTAIN
    assert aggregate(sure, skills(), Caution(confidence=0.999999)).verdict is Verdict.UNCERTAIN


def test_only_those_with_a_say_vote() -> None:
    """What constant and random miners say changes neither answer nor agreement, and they are no voices."""
    rng = np.random.default_rng(9)
    ballots = [
        Ballot(each.label, {**each.said, "constant": 1.0, "random": float(rng.random())})
        for each in told(600, common=0.0)
    ]
    known = measure(ballots)
    sure = {"m0": 0.001, "m1": 0.001}
    for beside in ({"constant": 1.0}, {"random": 0.99}, {"constant": 1.0, "random": 0.99}):
        result = aggregate({**sure, **beside}, known)
        assert result.agreement == 1.0
        assert result.verdict is Verdict.NO_TRACE_FOUND
        assert all(result.weights[name] == 0 for name in beside)
    alone = aggregate({"m0": 0.001, "constant": 1.0, "random": 0.99}, known)
    assert alone.verdict is Verdict.UNCERTAIN


def test_votes_are_by_what_answers_are_worth() -> None:
    """Who never says more than one half but means it speaks for synthetic with what is much for it."""
    ballots = [
        Ballot(each.label, {name: p / 2 if name == "m0" else p for name, p in each.said.items()})
        for each in told(600, common=0.0)
    ]
    known = measure(ballots)
    result = aggregate({"m0": 0.4999, "m1": 0.999}, known)
    assert known["m0"].evidence(0.4999) > 1
    assert result.p_synthetic > 0.5
    assert result.agreement == 1.0


def test_without_a_history_nothing_is_said() -> None:
    """A validator that has not played yet gives answers without a verdict, over nearly all of 0..1."""
    result = aggregate(dict.fromkeys("abcde", 1.0), measure([]))
    assert result.verdict is Verdict.UNCERTAIN
    assert result.high - result.low > 0.5


@pytest.mark.parametrize("count", [0, TOGETHER + 1])
def test_numbers_of_answers(count: int) -> None:
    """None at all, and more than were measured together, are the caller's mistake."""
    with pytest.raises(ValueError, match=f"not {count}"):
        aggregate({f"m{n}": 0.5 for n in range(count)}, skills())
