"""Simulated miners: honest ones of many skills who find the same items hard, and copies of one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from subnet.game.answer_table import KINDS, AnswerTable
from subnet.types import Label


def crowd(
    seed: int,
    *,
    miners: int = 40,
    rounds: int = 600,
    asked: int = 20,
    copies: int = 0,
    noise: float = 0.0,
    rounded: float = 0.2,
) -> AnswerTable:
    """A table of `miners`, the first `copies` of which answer by one model, each with `noise` of its own.

    Log-odds are skill - difficulty + a leaning (two honest ones may share one) + own noise, all of variance around 1,
    put through slopes of each miner's own. A share `rounded` answers 0 or 1 only, a fifth of the rest two decimals.
    """
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(rounds) < 0.05, 2, 0) + rng.integers(0, 2, rounds)
    truth = np.array([1.0 if label is Label.SYNTHETIC else -1.0 for _, label in KINDS])[kinds]
    difficulty, leaning = rng.normal(0, 1.2, rounds), rng.normal(0, 1, rounds)
    odds: NDArray[np.float64] = rng.uniform(0.3, 2.6, (miners, 1)) - rng.uniform(0.6, 1.2, (miners, 1)) * difficulty
    odds = odds + rng.normal(0, 0.5, (miners, 1)) * leaning + rng.normal(0, 1, (miners, rounds))
    odds[1:copies] = odds[0] + noise * rng.normal(0, 1, (max(0, copies - 1), rounds))
    p = 1 / (1 + np.exp(-truth * rng.uniform(0.5, 6, (miners, 1)) * odds))
    kind = rng.random(miners)
    kind[:copies] = 1.0
    p[kind < rounded] = p[kind < rounded] > 0.5
    coarse = (kind >= rounded) & (kind < rounded + (1 - rounded) / 5)
    p[coarse] = np.round(p[coarse], 2)
    p[np.argsort(rng.random((miners, rounds)), 0) >= asked] = np.nan
    return AnswerTable(tuple(f"m{n:03d}" for n in range(miners)), p, kinds)
