"""Made-up miners of known skill, for the tests of what is made of their answers."""

from __future__ import annotations

import numpy as np

from neurons.gateway.judgement.skill import Ballot
from subnet.types import Label

STRENGTHS = np.array([2.1, 1.4, 1.4, 1.05, 0.7, 0.0])  # signal; noise has a deviation of 1.5
SHARPNESS = np.array([1.5, 3.0, 0.75, 1.5, 1.5, 1.5])  # of what they say


def told(count: int, *, common: float, seed: int = 0) -> list[Ballot]:
    """Questions of both labels, asked of all miners; `common` is the share of noise that they have in common."""
    rng = np.random.default_rng(seed)
    ballots = []
    for label in map(Label, rng.integers(2, size=count).tolist()):
        shared, own = rng.normal(), rng.normal(size=len(STRENGTHS))
        signal = STRENGTHS * (2 * label - 1) + 1.5 * (np.sqrt(common) * shared + np.sqrt(1 - common) * own)
        said = 1 / (1 + np.exp(-signal * SHARPNESS))
        ballots.append(Ballot(label, {f"m{n}": float(said[n]) for n in rng.permutation(len(STRENGTHS)).tolist()}))
    return ballots
