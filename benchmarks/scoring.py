"""Scoring of 256 miners for one round: our windows beside scikit-learn over the same last outcomes, in one run.

python benchmarks/scoring.py [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.metrics import accuracy_score, matthews_corrcoef

from subnet.game.history import History
from subnet.game.scoring import settle
from subnet.types import Label, Modality, Outcome, Prediction

MINERS, ROUNDS = 256, 120


def outcomes(rng: np.random.Generator, number: int) -> list[Outcome]:
    """One round: each miner is right four times in five."""
    label = Label(int(rng.integers(2)))
    right = rng.random(MINERS) < 0.8
    return [
        Outcome(f"m{n}", str(number), Modality.IMAGE, label, Prediction(float(label if ok else 1 - label)), 0.1, number)
        for n, ok in enumerate(right)
    ]


def by_scikit_learn(truth: list[int], guesses: list[list[int]]) -> list[float]:
    """The same rewards, by one call of each metric per miner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            max(0.0, matthews_corrcoef(truth[-100:], g[-100:])) / 2 + accuracy_score(truth[-10:], g[-10:]) / 2
            for g in guesses
        ]


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    rng = np.random.default_rng(0)
    rounds = [outcomes(rng, number) for number in range(ROUNDS)]
    history = History()
    for played in rounds:
        history = settle(history, played)
    truth = [int(played[0].label) for played in rounds]
    guesses = [[int(played[n].answer.label) for played in rounds] for n in range(MINERS)]  # type: ignore[union-attr]
    ours, theirs = timed(lambda: settle(history, rounds[-1]), 50), timed(lambda: by_scikit_learn(truth, guesses), 5)
    result = {"miners": MINERS, "ours_ms": ours * 1e3, "scikit_learn_ms": theirs * 1e3, "ratio": theirs / ours}
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{MINERS} miners: {ours * 1e3:.2f} ms; scikit-learn {theirs * 1e3:.0f} ms; {theirs / ours:.0f} x")


if __name__ == "__main__":
    main()
