"""One answer from several: evidence in log-odds by each miner's skill, with an interval, or no verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from scipy.special import ndtri

from neurons.gateway.judgement.skill import TOGETHER, Skills
from subnet.types import THRESHOLD

_MOST: Final = 30.0  # log-odds: probabilities stay inside (0, 1)


class Verdict(StrEnum):
    """What is said of a file. No answer says that it is real: that no trace was found is all that was looked for."""

    SYNTHETIC = "synthetic"
    NO_TRACE_FOUND = "no trace found"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Caution:
    """When a verdict is given: P, and the chance that others say the same side of one half, are at least `confidence`,
    `least` answers have a say, and most of them are on that side. 0.5 <= confidence < 1."""

    confidence: float = 0.9
    least: int = 2


@dataclass(frozen=True)
class Aggregate:
    """P(synthetic) at even odds before, its 95 % interval, and the share of answers with a say on its side."""

    p_synthetic: float
    low: float
    high: float
    agreement: float
    verdict: Verdict
    weights: Mapping[str, float]  # by hotkey: how much its evidence counted, 0..1


def aggregate(said: Mapping[str, float], skills: Skills, caution: Caution = Caution()) -> Aggregate:
    """What P(synthetic) by hotkey, 1 to TOGETHER of them, comes to, in whatever order they came.

    In the interval lies what as many other answers, to other cuts of the file, would come to, 95 times of a hundred;
    what was measured on few questions, or lies beyond them, widens it. Raises ValueError for no answer, or too many.
    """
    if not 1 <= len(said) <= TOGETHER:
        raise ValueError(f"1 to {TOGETHER} answers can be put together, not {len(said)}")
    weights = skills.weights(sorted(said))
    terms = sorted(weights[name] * skills[name].evidence(p) for name, p in said.items() if skills[name].has_say)
    line = skills.sums[len(said) - 1]
    centre, deviation = line.at(math.fsum(terms))
    # As of one miner's answer: where little was measured, little is sure.
    sure = 1 / math.sqrt(1 + math.pi * deviation**2 / 8)

    def between(confidence: float) -> tuple[float, float]:
        another = line.slope * skills.spread.of_another(terms, confidence)
        reach = math.hypot(float(ndtri((1 + confidence) / 2)) * deviation, another)
        return _probability(sure * (centre - reach)), _probability(sure * (centre + reach))

    p, (low, high) = _probability(sure * centre), between(0.95)
    sides = sum((term > 0) == (p > THRESHOLD) for term in terms)
    told = len(terms) >= caution.least and 2 * sides > len(terms)
    verdict = _verdict(p, *between(2 * caution.confidence - 1), caution) if told else Verdict.UNCERTAIN
    return Aggregate(p, low, high, sides / max(1, len(terms)), verdict, weights)


def _verdict(p: float, low: float, high: float, caution: Caution) -> Verdict:
    if p >= caution.confidence and low > THRESHOLD:
        return Verdict.SYNTHETIC
    if p <= 1 - caution.confidence and high < THRESHOLD:
        return Verdict.NO_TRACE_FOUND
    return Verdict.UNCERTAIN


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(odds, -_MOST), _MOST)))
