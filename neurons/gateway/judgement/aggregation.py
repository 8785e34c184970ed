"""One answer from several: evidence in log-odds by each miner's skill, with an interval, or no verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from neurons.gateway.judgement.skill import TOGETHER, Skills
from subnet.types import THRESHOLD

NORMAL_95: Final = 1.959964  # standard deviations on either side of 95 %
_MOST: Final = 30.0  # log-odds: probabilities stay inside (0, 1)


class Verdict(StrEnum):
    """What is said of a file. No answer says that it is real: that no trace was found is all that was looked for."""

    SYNTHETIC = "synthetic"
    NO_TRACE_FOUND = "no trace found"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Caution:
    """When a verdict is given: P of at least `confidence`, its interval and most answers on the same side of one half,
    and `least` answers with a say."""

    confidence: float = 0.8
    least: int = 2


@dataclass(frozen=True)
class Aggregate:
    """P(synthetic) at even odds before, its 95 % interval, and the share of answers on its side."""

    p_synthetic: float
    low: float
    high: float
    agreement: float
    verdict: Verdict
    weights: Mapping[str, float]  # by hotkey: how much its evidence counted, 0..1


def aggregate(said: Mapping[str, float], skills: Skills, caution: Caution = Caution()) -> Aggregate:
    """What P(synthetic) by hotkey, 1 to TOGETHER of them, comes to, in whatever order they came.

    The interval is that of the line from sums of so many answers to the truth: what was measured on few questions, or
    lies beyond them, is wide. Raises ValueError for no answer, and for too many.
    """
    if not 1 <= len(said) <= TOGETHER:
        raise ValueError(f"1 to {TOGETHER} answers can be put together, not {len(said)}")
    weights = skills.weights(sorted(said))
    total = math.fsum(weights[hotkey] * skills[hotkey].evidence(p) for hotkey, p in said.items())
    centre, deviation = skills.sums[len(said) - 1].at(total)
    low, p, high = (_probability(centre + by * NORMAL_95 * deviation) for by in (-1, 0, 1))
    voices = sum(weight > 0 for weight in weights.values())
    sides = sum((one > THRESHOLD) == (p > THRESHOLD) for one in said.values())
    told = voices >= caution.least and 2 * sides > len(said)
    verdict = _verdict(p, low, high, caution) if told else Verdict.UNCERTAIN
    return Aggregate(p, low, high, sides / len(said), verdict, weights)


def _verdict(p: float, low: float, high: float, caution: Caution) -> Verdict:
    if p >= caution.confidence and low > THRESHOLD:
        return Verdict.SYNTHETIC
    if p <= 1 - caution.confidence and high < THRESHOLD:
        return Verdict.NO_TRACE_FOUND
    return Verdict.UNCERTAIN


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(odds, -_MOST), _MOST)))
