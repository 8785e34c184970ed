"""How far each miner's answers can be trusted, and several of them together, measured on a validator's rounds. Pure.

A miner's P(synthetic) becomes evidence by a line fitted to what it said before (Platt 1999): log-odds that count =
shift + slope x log-odds that it says, at even odds of both labels. All lines are drawn to one common line until a miner
has answers enough of its own, and an uncertain line counts for less (MacKay 1992). Constant and random answers tell
nothing, and have no say; a miner that says the opposite of what is true has none either, nor has anybody before a
question was asked.

Miners often serve the same public detector, so their evidence must not be added up as if each had looked for itself.
So the sum of k miners' evidence goes through a line of its own, fitted to sums of k answers to questions that their
lines were not fitted on; and how much more the better miners count in a sum is what made the truth likeliest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neurons.gateway.judgement.spread import CUTS, Spread, spread_of
from subnet.types import Label

Floats = NDArray[np.float64]

FLOOR: Final = 1e-3  # answers nearer to 0 and 1 count as this near
TOGETHER: Final = 8  # most answers that are put together
LEAST_BITS: Final = 0.02  # of an answer: who tells less, right in under 58 of 100, is not told from chance
LEAST_SHARE: Final = 0.25  # of what answers of all tell on average: a new miner that tells nothing falls below in time
FAVOURS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)  # powers of a miner's information, that of the best who answers as 1
_COMMON: Final = (0.0, 0.5)  # the line before anything was measured: half of what is said
_COMMON_PRECISION, _OWN_PRECISION, _SUM_PRECISION = 1.0, 4.0, 1.0  # 1 / variance of shift and slope before
_OWN_ANSWERS: Final = 10.0  # answers that the information of the common line counts as


@dataclass(frozen=True)
class Ballot:
    """What miners said to one question: the truth, and P(synthetic) by hotkey, as they were asked in turn."""

    label: Label
    said: Mapping[str, float]


@dataclass(frozen=True)
class Line:
    """Log-odds from others: shift + slope x, with the variances of both and their covariance."""

    shift: float
    slope: float
    variances: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def at(self, x: float) -> tuple[float, float]:
        """The log-odds at `x`, and their standard deviation."""
        of_shift, of_slope, both = self.variances
        return self.shift + self.slope * x, math.sqrt(max(0.0, of_shift + 2 * x * both + x * x * of_slope))


@dataclass(frozen=True)
class Skill:
    """What one miner's answers are worth."""

    line: Line
    information: float  # of an answer, in bits, 0..1
    has_say: bool  # whether answers tell of the truth, and the right way round
    answers: int = 0  # that this was measured on

    def evidence(self, p_synthetic: float) -> float:
        """Log-odds for synthetic that an answer is worth; 0 where the miner has no say."""
        centre, deviation = self.line.at(log_odds(p_synthetic))
        return centre / math.sqrt(1 + math.pi * deviation**2 / 8) if self.has_say else 0.0


@dataclass(frozen=True)
class Skills:
    """What is known of the miners of one modality. `sums` has a line for each number of answers from 1 on; `spread` is
    how far the evidence of answers to one question lies apart."""

    by_hotkey: Mapping[str, Skill]
    newcomer: Skill  # of whom nothing is known yet
    favour: float
    sums: tuple[Line, ...]
    spread: Spread
    ballots: int  # questions that all this was measured on

    def __getitem__(self, hotkey: str) -> Skill:
        return self.by_hotkey.get(hotkey, self.newcomer)

    def weights(self, hotkeys: Sequence[str]) -> dict[str, float]:
        """How much the evidence of each counts in their sum, 0..1."""
        return dict(zip(hotkeys, _weights([self[hotkey] for hotkey in hotkeys], self.favour), strict=True))


def log_odds(p: float) -> float:
    """ln(p / (1 - p)), at most 6.9 either way."""
    kept = min(max(p, FLOOR), 1 - FLOOR)
    return math.log(kept / (1 - kept))


def measure(ballots: Sequence[Ballot]) -> Skills:
    """Skills from questions whose truth is known; what sums are worth from lines that the question had no part in."""
    halves = ballots[::2], ballots[1::2]
    trials = [trial for at, half in enumerate(halves) for trial in _trials(half, *_skills(halves[1 - at]))]
    several = [trial for trial in trials if len(trial.evidence) > 1]
    favour = min(FAVOURS, key=lambda each: _loss(several, each)) if several else FAVOURS[0]
    by_hotkey, newcomer = _skills(ballots)
    sums = tuple(_sum_line(trials, count, favour) for count in range(1, TOGETHER + 1))
    spread = spread_of([trial.terms(TOGETHER, favour) for trial in trials]).times(CUTS)
    return Skills(by_hotkey, newcomer, favour, sums, spread, len(ballots))


def _skills(ballots: Sequence[Ballot]) -> tuple[dict[str, Skill], Skill]:
    """The skill of each hotkey, and of one that is new."""
    points: dict[str, tuple[list[float], list[int]]] = {}
    for ballot in ballots:
        for hotkey, p in ballot.said.items():
            xs, labels = points.setdefault(hotkey, ([], []))
            xs.append(log_odds(p))
            labels.append(int(ballot.label))
    every = [x for xs, _ in points.values() for x in xs], [y for _, labels in points.values() for y in labels]
    common = _fit(*every, Line(*_COMMON), _COMMON_PRECISION)
    expected = _information(common, *every, 0.0)
    wide = common.variances[0] + 1 / _OWN_PRECISION, common.variances[1] + 1 / _OWN_PRECISION, common.variances[2]
    skills = {}
    for hotkey, (xs, labels) in points.items():
        line = _fit(xs, labels, common, _OWN_PRECISION)
        skills[hotkey] = _skill(line, _information(line, xs, labels, expected), expected, len(xs))
    return skills, _skill(Line(common.shift, common.slope, wide), expected, expected, 0)


def _skill(line: Line, information: float, expected: float, answers: int) -> Skill:
    has_say = line.slope > 0 and information >= max(LEAST_BITS, LEAST_SHARE * expected)
    return Skill(line, information, has_say, answers)


def _information(line: Line, xs: Sequence[float], labels: Sequence[int], expected: float) -> float:
    """Bits that an answer tells of the label, 0..1; few answers are taken together with what is `expected`."""
    sign = 2 * np.asarray(labels, np.float64) - 1
    odds = sign * (line.shift + line.slope * np.asarray(xs, np.float64))
    bits = len(xs) - float(np.logaddexp(0.0, -odds).sum()) / math.log(2) if line.slope > 0 else 0.0
    return min(1.0, max(0.0, (bits + _OWN_ANSWERS * expected) / (len(xs) + _OWN_ANSWERS)))


def _fit(xs: Sequence[float], labels: Sequence[int], centre: Line, precision: float) -> Line:
    """The likeliest line under a normal prior about `centre`, with its covariance (Laplace). Labels weigh the same.

    Where only one label was asked the line is `centre`, as uncertain as before.
    """
    y, before = np.asarray(labels, np.float64), np.array([centre.shift, centre.slope])
    ones = float(y.sum())
    if not 0 < ones < len(y):
        return Line(centre.shift, centre.slope, (1 / precision, 1 / precision, 0.0))
    X = np.stack([np.ones(len(y)), np.asarray(xs, np.float64)], axis=1)
    weights = np.where(y > 0, len(y) / (2 * ones), len(y) / (2 * (len(y) - ones)))
    sign = np.where(y > 0, 1.0, -1.0)

    def loss(line: Floats) -> float:
        misfit = float(weights @ np.logaddexp(0.0, -sign * (X @ line)))
        return misfit + precision / 2 * float((line - before) @ (line - before))

    line, curvature = before.copy(), precision * np.eye(2)
    for _ in range(60):  # Newton, never uphill
        p = 1 / (1 + np.exp(-np.clip(X @ line, -40, 40)))
        gradient = X.T @ (weights * (p - y)) + precision * (line - before)
        curvature = (X * (weights * p * (1 - p))[:, None]).T @ X + precision * np.eye(2)
        step, here = np.linalg.solve(curvature, gradient), loss(line)
        while (length := float(np.linalg.norm(step))) > 1e-9 and loss(line - step) > here:
            step = step / 2
        if length <= 1e-9:
            break
        line = line - step
    (of_shift, both), (_, of_slope) = np.linalg.inv(curvature).tolist()
    return Line(float(line[0]), float(line[1]), (of_shift, of_slope, both))


@dataclass(frozen=True)
class _Trial:
    """One question, its first answers by lines of other questions."""

    label: Label
    evidence: tuple[float, ...]
    skills: tuple[Skill, ...]

    def terms(self, count: int, favour: float) -> list[float]:
        """What each of the first answers adds to their sum, of those that have a say."""
        weights = _weights(self.skills[:count], favour)
        return [w * evidence for w, evidence in zip(weights, self.evidence[:count], strict=True) if w > 0]

    def total(self, count: int, favour: float) -> float:
        return math.fsum(self.terms(count, favour))


def _weights(skills: Sequence[Skill], favour: float) -> list[float]:
    said = [skill.information if skill.has_say else 0.0 for skill in skills]
    best = max(said, default=0.0)
    return [(each / best) ** favour if each else 0.0 for each in said]


def _trials(ballots: Sequence[Ballot], skills: Mapping[str, Skill], newcomer: Skill) -> list[_Trial]:
    trials = []
    for ballot in ballots:
        first = list(ballot.said.items())[:TOGETHER]
        known = tuple(skills.get(hotkey, newcomer) for hotkey, _ in first)
        worth = tuple(skill.evidence(p) for skill, (_, p) in zip(known, first, strict=True))
        trials.append(_Trial(ballot.label, worth, known))
    return trials


def _loss(trials: Sequence[_Trial], favour: float) -> float:
    """How unlikely the truth is by all answers of each trial, in nats a question, both labels weighed the same."""
    line, totals = _sum_line(trials, TOGETHER, favour), [trial.total(TOGETHER, favour) for trial in trials]
    sign = np.array([2.0 * trial.label - 1 for trial in trials])
    return float(np.logaddexp(0.0, -sign * (line.shift + line.slope * np.array(totals))).mean())


def _sum_line(trials: Sequence[_Trial], count: int, favour: float) -> Line:
    """From sums of `count` answers to log-odds; trials of fewer answers count where there are no others."""
    whole = [trial for trial in trials if len(trial.evidence) >= count] or trials
    totals, labels = [trial.total(count, favour) for trial in whole], [int(trial.label) for trial in whole]
    return _fit(totals, labels, Line(0.0, 1 / count), _SUM_PRECISION)
