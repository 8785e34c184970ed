"""Miners' skill from questions of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurons.gateway.judgement.skill import TOGETHER, Ballot, measure
from subnet.types import Label
from tests.unit.neurons.gateway.judgement.worlds import STRENGTHS, told

PROBABILITIES = st.floats(0, 1)
BALLOTS = st.lists(
    st.builds(
        Ballot, st.sampled_from(Label), st.dictionaries(st.sampled_from("abcdefghij"), PROBABILITIES, min_size=1)
    ),
    max_size=20,
)


def test_the_better_miner_counts_more() -> None:
    """Slopes undo over- and underconfidence, information follows skill, and what is random has no say."""
    skills = measure(told(600, common=0.0))
    bits = [skills[f"m{n}"].information for n in range(len(STRENGTHS))]
    assert bits[0] == max(bits)
    assert bits[-1] < 0.02
    assert abs(skills[f"m{len(STRENGTHS) - 1}"].evidence(0.99)) < 0.5
    assert skills["m1"].line.slope < skills["m2"].line.slope  # m1 exaggerates fourfold by comparison


def test_constant_answers_have_no_say() -> None:
    """Whatever the constant is, it tells nothing of the label."""
    rng = np.random.default_rng(3)
    ballots = [Ballot(Label(int(rng.integers(2))), {"low": 0.0, "half": 0.5, "high": 1.0}) for _ in range(300)]
    skills = measure(ballots)
    assert all(abs(skills[name].evidence(p)) < 0.35 for name, p in (("low", 0.0), ("half", 0.5), ("high", 1.0)))


def test_a_liar_has_no_say() -> None:
    """Who says the opposite of the truth cannot be made to speak for it, nor turned round."""
    rng = np.random.default_rng(4)
    labels = [Label(int(rng.integers(2))) for _ in range(200)]
    skills = measure([Ballot(label, {"liar": 0.95 - 0.9 * label, "honest": 0.1 + 0.8 * label}) for label in labels])
    assert skills["liar"].evidence(0.95) == 0.0
    assert skills.weights(["liar", "honest"]) == {"liar": 0.0, "honest": 1.0}


def test_what_all_share_is_counted_once() -> None:
    """Eight copies of one detector are worth about what one is; eight that look for themselves are worth more."""
    copies, apart = ([skills.sums[TOGETHER - 1].slope for skills in map(measure, pair)] for pair in _pairs())
    assert max(copies) < 0.35
    assert min(apart) > 0.7


def _pairs() -> tuple[list[list[Ballot]], list[list[Ballot]]]:
    copies, apart = [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        labels = [Label(int(each)) for each in rng.integers(2, size=400)]
        one = [1 / (1 + np.exp(-((2 * label - 1) + rng.normal()) * 2)) for label in labels]
        copies.append([Ballot(y, {f"m{n}": float(p) for n in range(8)}) for y, p in zip(labels, one, strict=True)])
        noise = rng.normal(size=(400, 8))
        each = [1 / (1 + np.exp(-((2 * y - 1) + z) * 2)) for y, z in zip(labels, noise, strict=True)]
        apart.append([Ballot(y, {f"m{n}": float(p[n]) for n in range(8)}) for y, p in zip(labels, each, strict=True)])
    return copies, apart


def test_before_a_question_nobody_has_a_say() -> None:
    """Without a question of known truth nothing that is said counts, and nothing is certain."""
    skills = measure([])
    assert skills.ballots == 0
    assert (skills["anybody"].evidence(0.999), skills.weights(["anybody"])) == (0.0, {"anybody": 0.0})
    _, deviation = skills.sums[0].at(5.0)
    assert deviation > 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("questions", [100, 200, 600])
def test_who_tells_nothing_has_no_say(questions: int, seed: int) -> None:
    """Beside miners with skill a constant, however it came to its slope, and random ones weigh nothing."""
    rng = np.random.default_rng([seed, questions])
    ballots = []
    for ballot in told(questions, common=0.3, seed=seed):
        wild = {"random": float(rng.random()), "coin": float(rng.integers(2)), "one": 1.0, "nearly": 0.97}
        wild["wavering"] = float(0.5 + 0.01 * rng.normal())
        ballots.append(Ballot(ballot.label, {**ballot.said, **wild}))
    weights = measure(ballots).weights(["m0", "m1", "random", "coin", "one", "nearly", "wavering"])
    assert all(weights[name] > 0 for name in ("m0", "m1"))
    assert [name for name in ("random", "coin", "one", "nearly", "wavering") if weights[name]] == []


@settings(max_examples=15)
@given(BALLOTS)
def test_any_history_gives_finite_skills(ballots: list[Ballot]) -> None:
    """One label only, single answers, answers of 0 and 1: nothing is infinite, and weights are in 0..1."""
    skills = measure(ballots)
    names = [*"abcdefghij", "new"]
    values = [skills[name].evidence(p) for name in names for p in (0.0, 0.3, 1.0)]
    values += [number for line in skills.sums for number in line.at(20.0)]
    assert np.isfinite(values).all()
    assert all(0 <= weight <= 1 for weight in skills.weights(names).values())
    assert len(skills.sums) == TOGETHER


def test_the_common_line_holds_newcomers() -> None:
    """A miner with one lucky answer is taken for one of the others, not for a genius."""
    ballots = told(300, common=0.0)
    lucky = [*ballots, Ballot(Label.SYNTHETIC, {"lucky": 1.0})]
    skills = measure(lucky)
    assert skills["lucky"].evidence(0.9) == pytest.approx(skills.newcomer.evidence(0.9), abs=0.6)
