"""How unfair weights are while few answers stand behind them: the reason for `--neuron.min_answers`.

    python -m benchmarks.first_weights [--miners 250] [--asked 50] [--skill 0.8] [--runs 4]

Equal miners play the real rules; beside the number of answers of the median miner stand the largest weight and the
5 % quantile, both as multiples of the fair share 1 / miners.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from subnet.game.history import Standing
from subnet.game.scoring import VIDEO_SHARE, advance
from subnet.types import Label, Modality, Outcome, Prediction

SHOWN = (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 80)


def shares(miners: int, asked: int, skill: float, rng: np.random.Generator) -> dict[int, tuple[float, float]]:
    """Largest weight and 5 % quantile over the fair share, by the median number of answers."""
    standings = [Standing() for _ in range(miners)]
    measured: dict[int, tuple[float, float]] = {}
    while (median := int(np.median([s.asked for s in standings]))) <= SHOWN[-1]:
        scores = np.array([s.score for s in standings])
        if scores.any():
            measured[median] = (scores.max() / scores.mean(), float(np.quantile(scores, 0.05) / scores.mean()))
        label = Label(int(rng.random() < 0.5))
        modality = Modality.VIDEO if rng.random() < VIDEO_SHARE else Modality.IMAGE
        for index in rng.permutation(miners)[:asked]:
            says = label if rng.random() < skill else Label(1 - label)
            outcome = Outcome(str(index), "", modality, label, Prediction(0.1 + 0.8 * says), 0.0, 0)
            standings[index] = advance(standings[index], outcome)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--miners", type=int, default=250)
    parser.add_argument("--asked", type=int, default=50)
    parser.add_argument("--skill", type=float, default=0.8)
    parser.add_argument("--runs", type=int, default=4)
    given = parser.parse_args()
    runs: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(given.runs):
        for median, pair in shares(given.miners, given.asked, given.skill, np.random.default_rng(seed)).items():
            runs[median].append(pair)
    print("answers  largest  5 % quantile   (fair share = 1)")
    for median in SHOWN:
        if runs[median]:
            largest, low = np.mean(runs[median], axis=0)
            print(f"{median:7}  {largest:7.2f}  {low:12.2f}")


if __name__ == "__main__":
    main()
