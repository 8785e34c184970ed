"""How far answers about one file lie apart, so that an interval holds what others would have said. Pure.

Who is asked, and which cut of the file each is sent, is drawn; another draw gives another answer. Five answers tell
little of how much, so the variance between them is taken together with that between answers to earlier questions
(Smyth 2004, "Linear models and empirical Bayes methods", section 6.2): variances are held to be scaled inverse
chi-squared, and what is left of a sum is Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import polygamma, psi, stdtrit

LEAST: Final = 0.01  # variance, in log-odds: who agrees to the last digit was asked the same by chance
CUTS: Final = 1.75  # a round sends all the same cut; so much more variance there is between cuts (`benchmarks.repeats`)
LOOSE: Final = 4.0  # degrees of freedom at least: few questions cannot tell fewer from chance
FIRM: Final = 100.0  # degrees of freedom at most: questions are never all alike


@dataclass(frozen=True)
class Spread:
    """The variance of answers' evidence about one file before any is heard, and the degrees of freedom it counts as."""

    variance: float = 1.0  # log-odds squared
    freedom: float = 1.0

    def times(self, factor: float) -> Spread:
        """A variance so many times as large."""
        return Spread(self.variance * factor, self.freedom)

    def of_another(self, evidence: Sequence[float], confidence: float = 0.95) -> float:
        """How far from the sum of `evidence` that of as many other answers lies, at most, as often as `confidence`.

        Log-odds, one of each answer that has a say; the others are to other cuts of the file.
        """
        count = max(1, len(evidence))
        freedom = self.freedom + count - 1
        seen = float(np.var(evidence)) * count if count > 1 else 0.0
        variance = (self.freedom * self.variance + seen) / freedom
        return float(stdtrit(freedom, (1 + confidence) / 2)) * math.sqrt(2 * count * variance)


def spread_of(questions: Sequence[Sequence[float]]) -> Spread:
    """The spread by which the evidence of answers to each question, where there are two or more, is likeliest."""
    several = [each for each in questions if len(each) > 1]
    if len(several) < 2:
        return Spread()
    freedom = np.array([len(each) - 1.0 for each in several])
    variances = np.maximum([np.var(each, ddof=1) for each in several], LEAST)
    logs = np.log(variances) - psi(freedom / 2) + np.log(freedom / 2)
    beyond = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
    prior = min(FIRM, max(LOOSE, 2 * _inverse_trigamma(beyond))) if beyond > 0 else FIRM
    return Spread(math.exp(float(logs.mean()) + float(psi(prior / 2)) - math.log(prior / 2)), prior)


def _inverse_trigamma(value: float) -> float:
    """x > 0 with trigamma(x) = `value`, by Newton's steps on its reciprocal (Smyth 2004, appendix), never too far."""
    x = 0.5 + 1 / value
    for _ in range(50):
        here = float(polygamma(1, x))
        step = here * (1 - here / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-8 * x:
            break
    return x
