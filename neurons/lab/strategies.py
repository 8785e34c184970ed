"""How one may play: a table row per strategy, honest or not, of miners and of validators.

A miner's detector is modelled by its evidence for each item: a number that is positive for "synthetic", right as often
as the skill says, harder items being harder for everybody. A strategy turns it into an answer, with whatever else it
knows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, NamedTuple

from neurons.lab.rules import LabRules
from subnet.types import Answer, Failure, Label, Modality, Prediction

# Evidence in 1/32 standard deviations, from -4 to 4, and the prediction that each makes.
STEPS, MIDDLE = 32, 128
PREDICTIONS = tuple(Prediction(NormalDist().cdf((n - MIDDLE + 0.5) / STEPS)) for n in range(2 * MIDDLE))
REAL, SYNTHETIC = Prediction(0.0), Prediction(1.0)
UNSURE = STEPS // 2  # evidence below half a standard deviation


class Question(NamedTuple):
    """One round as the laboratory sees it. A miner uses what its strategy could know, and nothing else."""

    validator: int
    number: int
    modality: Modality
    level: int
    label: Label  # only for those whom a validator tells it, and to draw what a memory gets right
    verdicts: Mapping[str, int]  # what the own detectors of all that are asked say, by hotkey: evidence in steps
    past: Sequence[Label]  # labels of this validator's rounds before, as published evidence tells them
    size: float  # of the encoded variant, in standard deviations
    rules: LabRules


@dataclass
class Key:
    """One miner: a hotkey with what it remembers."""

    strategy: Strategy
    hotkey: str
    uid: int
    rng: random.Random
    since: int = 0  # round at which this hotkey registered
    answers: int = 0  # given with it
    sources: tuple[Key, ...] = ()  # whose answers it may copy
    memory: dict[Any, Any] = field(default_factory=dict)


Play = Callable[[Question, Key, int], Answer]  # the int is the key's own evidence, in steps


@dataclass(frozen=True)
class Strategy:
    """One row. `means` names the honest row with the same means, and `effort` the share of its work that this one does.

    A strategy pays when it earns more than its honest counterpart for `effort` of the time, and `idle` for the rest.
    """

    name: str
    about: str
    play: Play
    skill: float | None = None  # of its detector; None without one
    means: str = ""  # "" for the honest rows themselves
    effort: float = 1.0
    idle: str = ""  # the row that it plays for the rest of the time, "" where it rests
    keys: int = 4
    one_model: bool = False  # all keys ask one model
    renew: int = 0  # rounds after which it takes a new hotkey, 0: never
    sources: int = 0  # miners of skill .90 whose answers it gets
    open_because: str = ""  # why it may pay all the same, and what would close it


def honest(question: Question, key: Key, own: int) -> Answer:
    return PREDICTIONS[own]


def constant(p: float) -> Play:
    answer = Prediction(p)
    return lambda question, key, own: answer


def guess(question: Question, key: Key, own: int) -> Answer:
    return SYNTHETIC if key.rng.random() < 0.5 else REAL


def hedge(question: Question, key: Key, own: int) -> Answer:
    return Prediction(0.5001) if own >= MIDDLE else Prediction(0.4999)


def silent(question: Question, key: Key, own: int) -> Answer:
    return Failure.TIMEOUT if abs(own - MIDDLE) < UNSURE else PREDICTIONS[own]


def by_base_rate(question: Question, key: Key, own: int) -> Answer:
    """Unsure, it says what it has said less often of late: labels are even, so they should even out."""
    said: list[bool] = key.memory.setdefault("said", [])
    synthetic = own >= MIDDLE
    if abs(own - MIDDLE) < UNSURE and said:
        synthetic = 2 * sum(said) < len(said)
    said.append(synthetic)
    del said[:-20]
    return SYNTHETIC if synthetic else REAL


def half_offline(question: Question, key: Key, own: int) -> Answer:
    """All its keys leave and come back together, every fifty rounds."""
    return PREDICTIONS[own] if question.number // 50 % 2 else Failure.UNREACHABLE


def without_clips(question: Question, key: Key, own: int) -> Answer:
    return Failure.TIMEOUT if question.modality is Modality.VIDEO else PREDICTIONS[own]


def coast(question: Question, key: Key, own: int) -> Answer:
    """Honest until its place is reached; then the machine is given back, and it guesses until it takes a new hotkey."""
    return PREDICTIONS[own] if question.number - key.since < 1000 else guess(question, key, own)


def copy_exact(question: Question, key: Key, own: int) -> Answer:
    """The source's answer when both were sent the same bytes: one in 2,197 at level 0 (13 x 13 moves, 13 qualities)."""
    return _copy(question, key, (1 / 2197, 0, 0, 0)[question.level])


def copy_alike(question: Question, key: Key, own: int) -> Answer:
    """The source's answer when perceptual hashes pair the two variants."""
    return _copy(question, key, question.rules.pairing[question.level])


def copy_late(question: Question, key: Key, own: int) -> Answer:
    """Waits for a source that was asked by the same validator within seconds: the clock pairs them."""
    return _copy(question, key, 1.0)


def _copy(question: Question, key: Key, chance: float) -> Answer:
    for source in key.sources:
        verdict = question.verdicts.get(source.hotkey)
        if verdict is not None and key.rng.random() < chance:
            return PREDICTIONS[verdict]
    return guess(question, key, 0)


def recall(question: Question, key: Key, own: int) -> Answer:
    """Right as often as a memory of public photographs is at this level."""
    right = key.rng.random() < question.rules.memory[question.level]
    return SYNTHETIC if (question.label is Label.SYNTHETIC) == right else REAL


def learn(question: Question, key: Key, own: int) -> Answer:
    """Naive Bayes over the validator's habits, learnt from every label that it has published."""
    counts: dict[tuple[object, ...], list[int]] = key.memory.setdefault("counts", {})
    asked: list[tuple[int, tuple[tuple[object, ...], ...]]] = key.memory.setdefault(question.validator, [])
    for number, traits in asked:
        for trait in traits:
            counts.setdefault(trait, [1, 1])[question.past[number]] += 1
    before = question.past[question.number - 1] if question.number else Label.REAL
    place = list(question.verdicts).index(key.hotkey) // 10
    traits = (
        ("before", before),
        ("number", question.number % 10),
        ("level", question.level, question.modality),
        ("place", place),
        ("size", question.level, question.size > 0),
    )
    key.memory[question.validator] = [(question.number, traits)]
    ratio = sum(math.log(c[1] / c[0]) for trait in traits if (c := counts.get(trait)))
    return SYNTHETIC if ratio > 0 else REAL


def insider(question: Question, key: Key, own: int) -> Answer:
    """The label, from the one validator that tells it; its own guess for all others."""
    if question.validator == 0:
        return SYNTHETIC if question.label is Label.SYNTHETIC else REAL
    return PREDICTIONS[own]


SKILLS = (0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
GUESS = "random"


def honest_name(skill: float) -> str:
    return f"honest {skill:.2f}"


_SYBIL = "a share per key, so more keys earn more; burns bound it, and a place per cluster would close it (likeness)"
_CHEAP = "the clock pairs questions of one round, whatever the variants; twin rounds would close it"
HONEST = tuple(Strategy(honest_name(skill), "answers what it thinks", honest, skill) for skill in SKILLS)
TRICKS = (
    Strategy("always real", "0 to everything", constant(0.0), means=GUESS),
    Strategy("always synthetic", "1 to everything", constant(1.0), means=GUESS),
    Strategy(GUESS, "a coin", guess),
    Strategy("always 0.5", "0.5 to everything, which says real", constant(0.5), means=GUESS),
    Strategy("just above 0.5", "0.5001 to everything", constant(0.5001), means=GUESS),
    Strategy("just below 0.5", "0.4999 to everything", constant(0.4999), means=GUESS),
    Strategy("hedged", "its own verdict as 0.5001 or 0.4999", hedge, 0.85, honest_name(0.85)),
    Strategy("silent when unsure", "lets hard items time out", silent, 0.85, honest_name(0.85)),
    Strategy("evens out", "unsure, says the class it has said less often", by_base_rate, 0.85, honest_name(0.85)),
    Strategy("offline by halves", "50 rounds on, 50 off, all keys in step", half_offline, 0.9, honest_name(0.9), 0.5),
    Strategy("drops clips", "answers images only", without_clips, 0.85, honest_name(0.85), 0.95),
    Strategy("new hotkey in 25", "a new hotkey every 25 rounds", honest, 0.9, honest_name(0.9), renew=25),
    Strategy("new hotkey in 100", "a new hotkey every 100 rounds", honest, 0.9, honest_name(0.9), renew=100),
    Strategy("new hotkey in 400", "a new hotkey every 400 rounds", honest, 0.9, honest_name(0.9), renew=400),
    Strategy("guesser hops in 50", "a coin with a new hotkey every 50 rounds", guess, None, GUESS, renew=50),
    Strategy("guesser hops in 200", "a coin with a new hotkey every 200 rounds", guess, None, GUESS, renew=200),
    Strategy(
        "coasts",
        "works for 1,000 rounds, guesses for 500, then takes a new hotkey",
        coast,
        0.9,
        honest_name(0.9),
        effort=2 / 3,
        idle=GUESS,
        renew=1500,
        open_because="windows of 100 answers pay for a past that is over; it still earns less than steady work",
    ),
    Strategy(
        "ten keys, one model",
        "one detector behind ten hotkeys",
        honest,
        0.9,
        honest_name(0.9),
        effort=0.1,
        keys=10,
        one_model=True,
        open_because=_SYBIL,
    ),
    Strategy("copies equal bytes", "by sha256, else a coin", copy_exact, None, GUESS, sources=1),
    Strategy(
        "copies by look",
        "by perceptual hash, else a coin",
        copy_alike,
        None,
        GUESS,
        sources=1,
        open_because="only level 0 pairs well, and a source is asked in a fifth of its rounds; twin rounds close it",
    ),
    Strategy(
        "copies with delay", "waits for one source, else a coin", copy_late, None, GUESS, sources=1, open_because=_CHEAP
    ),
    Strategy(
        "copies five with delay",
        "waits for any of five sources, else a coin",
        copy_late,
        None,
        GUESS,
        sources=5,
        open_because=_CHEAP,
    ),
    Strategy(
        "relays",
        "hands its questions to the machine of a friend with a detector",
        honest,
        0.9,
        GUESS,
        one_model=True,
        open_because="to the rules it is one more key of that detector: " + _SYBIL,
    ),
    Strategy(
        "memoriser",
        "knows all public photographs by perceptual hash",
        recall,
        None,
        GUESS,
        open_because="a memory is a poor detector, and is paid as one; fresh items keep it poor (canaries show it)",
    ),
    Strategy(
        "learns habits",
        "order, time, size and level of all questions before",
        learn,
        None,
        GUESS,
        open_because="the encoded size tells a little at level 0 (AUC .54), and that little is paid",
    ),
)
CARTEL = Strategy(
    "cartel",
    "200 of 250 keys let hard items time out, to make the round void",
    silent,
    0.85,
    honest_name(0.85),
    keys=200,
)
FRIEND = Strategy(
    "told labels",
    "one validator tells it every label; its own skill is .60",
    insider,
    0.6,
    honest_name(0.6),
    open_because="consensus clips what one validator gives alone; it grows with the stake of who tells, up to one half",
)
