"""The incentive formula against scikit-learn, and the rules that close its gaps."""

from __future__ import annotations

import hashlib
import json
import math
import random
import warnings
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, matthews_corrcoef

from subnet.errors import SettingsError, StateError
from subnet.game import scoring
from subnet.game.history import History, Standing, Window, begin_averages, from_json, to_json
from subnet.types import Answer, Endpoint, Failure, Label, Modality, Neuron, Outcome, Prediction

ANSWERS = st.one_of(
    st.floats(0, 1).map(Prediction), st.sampled_from([Prediction(0.5), Prediction(0.0)]), st.sampled_from(list(Failure))
)
QUESTIONS = st.tuples(st.sampled_from(Modality), st.sampled_from(Label), ANSWERS)
HISTORIES = st.lists(QUESTIONS, max_size=250)
ONE_CLASS = st.lists(st.tuples(st.sampled_from(Modality), st.just(Label.REAL), ANSWERS), max_size=130)


def outcome(modality: Modality, label: Label, answer: Answer, hotkey: str = "miner") -> Outcome:
    return Outcome(hotkey, "c", modality, label, answer, 0.1, 1)


def played(questions: list[tuple[Modality, Label, Answer]]) -> Standing:
    standing = Standing()
    for question in questions:
        standing = scoring.advance(standing, outcome(*question))
    return standing


def plain_reward(questions: list[tuple[Modality, Label, Answer]]) -> float:
    """The formula of the README, computed by scikit-learn over lists, with a failure as the opposite of the truth."""
    earned = total = 0.0
    for modality, share in ((Modality.IMAGE, 0.95), (Modality.VIDEO, 0.05)):
        asked = [(label, answer) for m, label, answer in questions if m is modality]
        if not asked:
            continue
        truth = [int(label) for label, _ in asked]
        guess = [
            1 - int(label) if isinstance(answer, Failure) else int(answer.p_synthetic > 0.5) for label, answer in asked
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mcc = 0.0 if len(set(truth[-100:])) < 2 else max(0.0, matthews_corrcoef(truth[-100:], guess[-100:]))
        earned += share * (mcc / 2 + accuracy_score(truth[-10:], guess[-10:]) / 2)
        total += share
    return earned / total if total else 0.0


@given(st.one_of(HISTORIES, ONE_CLASS))
def test_reward_equals_scikit_learn(questions: list[tuple[Modality, Label, Answer]]) -> None:
    """Incremental windows give what scikit-learn gives, whatever the history: one class, ties, failures."""
    assert math.isclose(scoring.reward(played(questions)), plain_reward(questions), rel_tol=0, abs_tol=1e-12)


@given(st.lists(QUESTIONS, max_size=25))
def test_score_is_the_moving_average_of_rewards_with_penalty(questions: list[tuple[Modality, Label, Answer]]) -> None:
    """score <- 0.95 score + 0.05 reward x penalty after every round that asked."""
    expected = 0.0
    for n, (_, _, answer) in enumerate(questions, 1):
        penalty = 0.0 if isinstance(answer, Failure) else 1.0
        expected = 0.95 * expected + 0.05 * plain_reward(questions[:n]) * penalty
    assert math.isclose(played(questions).score, expected, rel_tol=0, abs_tol=1e-12)


@given(HISTORIES, st.integers(0, 100))
def test_silence_never_pays(questions: list[tuple[Modality, Label, Answer]], at: int) -> None:
    """Failing on an item never scores better than answering it, even wrongly."""
    if at >= len(questions):
        return
    modality, label, _ = questions[at]
    wrong = Prediction(1.0 - int(label))
    answered = [*questions[:at], (modality, label, wrong), *questions[at + 1 :]]
    silent = [*questions[:at], (modality, label, Failure.TIMEOUT), *questions[at + 1 :]]
    assert played(silent).score <= played(answered).score


@given(st.lists(st.tuples(QUESTIONS, QUESTIONS), min_size=1, max_size=40))
def test_nobodys_score_depends_on_others(
    rounds: list[tuple[tuple[Modality, Label, Answer], tuple[Modality, Label, Answer]]],
) -> None:
    """Whatever another miner answers, in whatever order replies come, mine is the same (rounds that count)."""
    together, alone = History(), History()
    for mine, other in rounds:
        mine_out, other_out = outcome(*mine), outcome(mine[0], mine[1], other[2], "other")
        if scoring.is_void([mine_out, other_out]):
            continue
        together = scoring.settle(together, [other_out, mine_out])
        alone = scoring.settle(alone, [mine_out])
    assert together["miner"] == alone["miner"]


@given(st.lists(st.sampled_from(sorted(scoring.UNHEARD)), min_size=2, max_size=5), HISTORIES)
def test_a_round_in_which_nobody_was_heard_is_neutral(
    failures: list[Failure], questions: list[tuple[Modality, Label, Answer]]
) -> None:
    """When several were asked and nobody was heard, the fault is ours: nothing moves."""
    before = History({f"m{n}": played(questions) for n in range(len(failures))})
    outcomes = [outcome(Modality.IMAGE, Label.REAL, f, f"m{n}") for n, f in enumerate(failures)]
    assert scoring.settle(before, outcomes) == before


def test_one_asked_and_silent_is_not_void() -> None:
    """With one miner asked, silence is the miner's."""
    after = scoring.settle(History(), [outcome(Modality.IMAGE, Label.REAL, Failure.TIMEOUT)])
    assert after["miner"].asked == 1


def test_garbage_from_everybody_is_not_void() -> None:
    """Miners that were heard and said nonsense are scored."""
    outcomes = [outcome(Modality.IMAGE, Label.REAL, Failure.OUT_OF_RANGE, h) for h in "ab"]
    assert not scoring.is_void(outcomes)


def test_a_hotkey_that_was_not_asked_keeps_its_standing() -> None:
    """No decay and no fill value for those who were not sampled."""
    history = History({"idle": played([(Modality.IMAGE, Label.REAL, Prediction(0.0))] * 30)})
    assert scoring.settle(history, [outcome(Modality.IMAGE, Label.REAL, Prediction(0.1))])["idle"] == history["idle"]


def test_a_departed_hotkey_starts_from_zero() -> None:
    """History follows the hotkey: whoever takes over the uid inherits nothing."""
    history = History(
        {"old": played([(Modality.IMAGE, Label.REAL, Prediction(0.0))] * 30), "stays": Standing(score=0.5)}
    )
    kept = scoring.retain(history, frozenset({"new", "stays"}))
    assert kept["old"] == Standing()
    assert kept["stays"].score == 0.5


def test_an_offline_miner_goes_to_zero() -> None:
    """A perfect miner that goes away has under 1 % of its score left after 100 rounds."""
    perfect = [(Modality.IMAGE, Label(n % 2), Prediction(float(n % 2))) for n in range(200)]
    gone: list[tuple[Modality, Label, Answer]] = [
        (Modality.IMAGE, Label(n % 2), Failure.UNREACHABLE) for n in range(100)
    ]
    assert played([*perfect, *gone]).score < 0.01 * played([*perfect]).score


@given(st.lists(st.floats(0, 1, exclude_min=True), min_size=1, max_size=20))
def test_weights_are_normalised_scores_of_miners(scores: list[float]) -> None:
    """Weights sum to 1 in proportion to scores; validators and the unpaid get none."""
    history = History(
        {f"m{n}": Standing(score=s, average=s) for n, s in enumerate(scores)} | {"v": Standing(score=1.0)}
    )
    neurons = [Neuron(n, f"m{n}", "c", 0.0, False) for n in range(len(scores))]
    neurons += [Neuron(98, "v", "c", 2000.0, True), Neuron(99, "new", "c", 0.0, False)]
    weights = scoring.weights(history, neurons, stake_limit=1000)
    assert math.isclose(sum(weights.values()), 1.0)
    assert set(weights) == set(range(len(scores)))
    for uid, weight in weights.items():
        assert math.isclose(weight, scores[uid] / math.fsum(scores), rel_tol=1e-9)


@given(HISTORIES)
def test_a_score_says_how_it_came_about(questions: list[tuple[Modality, Label, Answer]]) -> None:
    """The parts are those of the formula, modality by modality, and the counts are of all that was ever asked."""
    standing = played(questions)
    score = scoring.score(History({"miner": standing}), "miner")
    answers = [answer for _, _, answer in questions]
    assert (score.hotkey, score.value, score.asked) == ("miner", standing.score, len(questions))
    assert score.answered == sum(isinstance(answer, Prediction) for answer in answers)
    assert score.failures == Counter(answer for answer in answers if isinstance(answer, Failure))
    assert set(score.parts) == set(Modality)
    for modality, part in score.parts.items():
        asked = [question for question in questions if question[0] is modality]
        assert (part.asked, part.window) == (len(asked), min(100, len(asked)))
        assert math.isclose(part.reward, plain_reward(asked), rel_tol=0, abs_tol=1e-12)
        assert part.reward == part.mcc / 2 + part.accuracy / 2
        right = [not isinstance(a, Failure) and a.label is label for _, label, a in asked[-10:]]
        assert part.accuracy == (sum(right) / len(right) if right else 0.0)


@given(HISTORIES, st.sampled_from([0, 1, 40, 400]), st.sampled_from([1.0, 1.1, 2.0]))
def test_payment_is_a_long_average_that_the_score_bounds(
    questions: list[tuple[Modality, Label, Answer]], averaging: int, headroom: float
) -> None:
    """The mean of all rewards while there are few, failures as 0; never above headroom times the score; 0 is off."""
    smoothing = scoring.Smoothing(averaging=averaging, headroom=headroom)
    standing, rewards = Standing(), []
    for n, question in enumerate(questions, 1):
        standing = scoring.advance(standing, outcome(*question), smoothing)
        rewards.append(plain_reward(questions[:n]) if isinstance(question[2], Prediction) else 0.0)
    paid = scoring.payment(standing, smoothing)
    if averaging == 0:
        assert paid == standing.score
        return
    assert paid == min(standing.average, headroom * standing.score)
    expected = 0.0
    for n, reward in enumerate(rewards, 1):
        expected += (reward - expected) / min(n, averaging)
    assert math.isclose(standing.average, expected, abs_tol=1e-12)
    if len(rewards) <= averaging and rewards:
        assert math.isclose(standing.average, math.fsum(rewards) / len(rewards), abs_tol=1e-12)


def test_averaging_leaves_scores_alone() -> None:
    """The formula and its moving average are what they were: only weights follow the average."""
    questions = [(Modality.IMAGE, Label(n % 2), Prediction(float(n % 3 == 0))) for n in range(150)]
    plain = Standing()
    for question in questions:
        plain = scoring.advance(plain, outcome(*question), scoring.Smoothing(averaging=0))
    assert plain.score == played(questions).score


@pytest.mark.parametrize(
    ("field", "value"), [("alpha", 0.0), ("alpha", 1.5), ("alpha", math.nan), ("averaging", -1), ("headroom", 0.9)]
)
def test_smoothing_that_cannot_be_is_refused(field: str, value: float) -> None:
    """By the name of the field."""
    with pytest.raises(SettingsError, match=field):
        scoring.Smoothing(**{field: value})  # type: ignore[arg-type]


def test_histories_of_older_versions_still_read() -> None:
    """They kept no average: it goes on from the score, and so it does where a journal changes over."""
    old = History({"a": played([(Modality.IMAGE, Label(n % 2), Prediction(float(n % 2))) for n in range(30)])})
    new = json.loads(to_json(old))
    assert [len(row) for row in new.values()] == [6]
    before = from_json(json.dumps({hotkey: row[:5] for hotkey, row in new.items()}).encode())
    assert before == begin_averages(old)
    assert before["a"].average == old["a"].score != old["a"].average
    assert before["a"]._replace(average=old["a"].average) == old["a"]


def test_scores_are_the_same_to_the_last_bit() -> None:
    """A journal of today replays tomorrow: a faster way to compute scores may not move one bit of them."""
    draw = random.Random(1)
    history = History()
    for number in range(400):
        modality = Modality.VIDEO if number % 20 == 0 else Modality.IMAGE
        answers = [draw.choice([*[Prediction(draw.random())] * 20, *Failure]) for _ in range(12)]
        label = Label(draw.randrange(2))
        outcomes = [
            outcome(modality, label, answer, f"m{n}") for n, answer in enumerate(answers) if draw.random() < 0.5
        ]
        history = scoring.settle(history, outcomes)
    assert hashlib.sha256(to_json(history)).hexdigest()[:16] == "01e352024ad6c418"


def test_no_scores_no_weights() -> None:
    """Nobody has earned anything: an empty mapping, never a division by zero."""
    assert scoring.weights(History(), [Neuron(0, "m", "c", 0.0, False)], 1000) == {}


@given(st.dictionaries(st.text(max_size=5), HISTORIES.map(played), max_size=4))
def test_history_survives_json(standings: dict[str, Standing]) -> None:
    """What is written to disk reads back equal, to the last bit."""
    assert from_json(to_json(History(standings))) == History(standings)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a": 1}', b'{"a": [["ff","0",3,3],["0","0",0,0],0,0,{}]}'])
def test_damaged_history_is_refused(data: bytes) -> None:
    """A state that cannot have been written by us is an error, not a zero."""
    with pytest.raises(Exception, match="stored history"):
        from_json(data)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [((), 0), ((5,), 5), ((5, 7), 5), ((9, 1, 4), 4), ((8, 2, 6, 4), 4), ((0, 0, 30), 0)],
)
def test_evidence_is_the_median_miners(asked: tuple[int, ...], expected: int) -> None:
    """The lower median of answers, over miners that serve; validators and who never served do not count."""
    serving = Endpoint("192.0.2.1", 8091)
    miners = [Neuron(n, f"m{n}", "c", 0.0, False, serving) for n in range(len(asked))]
    others = [Neuron(98, "v", "c", 2000.0, True, serving), Neuron(99, "never", "c", 0.0, False)]
    known = {f"m{n}": Standing(image=Window(asked=count)) for n, count in enumerate(asked)}
    history = History(
        {**known, "v": Standing(image=Window(asked=10_000)), "left": Standing(image=Window(asked=10_000))}
    )
    assert scoring.evidence(history, [*others, *miners], 1000) == expected
    if asked:  # one that went away after it was asked still counts
        gone = [replace(miner, endpoint=None) for miner in miners]
        behind = [count for count in asked if count]
        assert scoring.evidence(history, gone, 1000) == (sorted(behind)[(len(behind) - 1) // 2] if behind else 0)


def test_a_window_with_too_many_bits_is_named() -> None:
    """The message says what cannot be, and what to do."""
    with pytest.raises(StateError, match=r"a window of 3 outcomes holds more bits than that"):
        from_json(b'{"a": [["ff","0",3,3],["0","0",0,0],0,0,{}]}')


@given(st.lists(st.tuples(st.sampled_from(Label), st.booleans()), max_size=250))
def test_confusion_counts_the_last_hundred(outcomes: list[tuple[Label, bool]]) -> None:
    """The four counts equal those of a plain list."""
    window = Window()
    for label, correct in outcomes:
        window = window.push(label, correct)
    last = outcomes[-100:]
    assert window.confusion() == (
        sum(label == 1 and correct for label, correct in last),
        sum(label == 0 and not correct for label, correct in last),
        sum(label == 1 and not correct for label, correct in last),
        sum(label == 0 and correct for label, correct in last),
    )
