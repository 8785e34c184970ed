"""Memory or judgement: how much better a miner does on public media than on fresh media of the same kind. Pure.

Canaries are items that anybody can download beside others that nobody has. Both are compared within modality and label,
since their mix may differ, and the differences are averaged with the weights of Mantel & Haenszel (1959). The interval
of one difference is Newcombe's hybrid of Wilson's scores (1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-
SIM779>3.0.CO;2-I, method 10); those of several are put together by squares (Zou & Donner 2008, doi:10.1002/sim.3095).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054  # of a two-sided 95 % interval


@dataclass(frozen=True)
class Hits:
    """Right answers among all that were asked; a failure is not right."""

    right: int = 0
    asked: int = 0

    @property
    def share(self) -> float:
        """0..1."""
        return self.right / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class Gap:
    """Accuracy on public media less that on fresh media, -1..1, with its 95 % interval.

    `public` and `fresh` count only kinds of which both were asked. Memory shows where `low` is above 0.
    """

    public: Hits
    fresh: Hits
    difference: float
    low: float
    high: float


def wilson(hits: Hits, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share; (0, 1) where nothing was asked."""
    if not hits.asked:
        return 0.0, 1.0
    n, p = hits.asked, hits.share
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def gap(strata: Sequence[tuple[Hits, Hits]], z: float = Z95) -> Gap | None:
    """The gap over kinds, each given as public and fresh hits; None where no kind has both."""
    both = [(public, fresh) for public, fresh in strata if public.asked and fresh.asked]
    if not both:
        return None
    weights = [public.asked * fresh.asked / (public.asked + fresh.asked) for public, fresh in both]
    difference = below = above = 0.0
    for weight, (public, fresh) in zip(weights, both, strict=True):
        share = weight / math.fsum(weights)
        (public_low, public_high), (fresh_low, fresh_high) = wilson(public, z), wilson(fresh, z)
        difference += share * (public.share - fresh.share)
        below += share**2 * ((public.share - public_low) ** 2 + (fresh_high - fresh.share) ** 2)
        above += share**2 * ((public_high - public.share) ** 2 + (fresh.share - fresh_low) ** 2)
    public, fresh = (Hits(sum(h.right for h in side), sum(h.asked for h in side)) for side in zip(*both, strict=True))
    return Gap(public, fresh, difference, difference - math.sqrt(below), difference + math.sqrt(above))
