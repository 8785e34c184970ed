"""What a validator's memory of the game takes: its windows alone, over 10,000 rounds with 64 miners, without a network.

    python -m benchmarks.windows [--rounds 10000] [--miners 64] [--json FILE]

Every round each miner gives an answer or, in about one of 17, fails; one round in fifty asks a video, one in five is a
twin round. Histories, the answers that are compared (for the metrics, and for `--neuron.share_places`) and the nonces
of the requests take them, at ten simulated seconds a round. `python -m benchmarks.soak` has the whole program.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from neurons.validator.upkeep import give_back
from subnet.game.answer_table import RecentAnswers
from subnet.game.history import History
from subnet.game.places import WINDOW, Places
from subnet.game.scoring import settle
from subnet.types import Failure, Label, Modality, Outcome, Prediction
from subnet.wire.nonce_source import Nonces

STEPS = 10  # rows of the table
PAUSE, APART = 10.0, 150_000  # seconds from round to round, nanoseconds from request to request


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--miners", type=int, default=64)
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    table = result(list(play(given.rounds, given.miners)), given.miners)
    print(*("".join(f"{cell:<22}" for cell in row) for row in [table["columns"], *table["rows"]]), sep="\n")
    print(*table["notes"], sep="\n")
    if given.json:
        given.json.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n")


def rounds(count: int, miners: int) -> Iterator[list[Outcome]]:
    """Outcomes of one round after another."""
    dice = random.Random(1)
    for number in range(count):
        modality = Modality.VIDEO if number % 50 == 0 else Modality.IMAGE
        labels = [Label(dice.randrange(2))] if number % 5 else list(Label)
        yield [
            Outcome(
                f"hotkey-{miner:041d}",
                f"{number:08d}-{number:016x}",
                modality,
                labels[miner % len(labels)],
                Prediction(dice.random()) if dice.random() > 1 / 17 else Failure.ERROR,
                dice.random(),
                number,
            )
            for miner in range(miners)
        ]


def play(count: int, miners: int) -> Iterator[tuple[int, int, int, int]]:
    """Round, resident bytes, blocks of Python's allocator, and runs of nonces, a few times on the way."""
    time = [10**18, 0.0]  # nanoseconds since 1970, and seconds since the start
    nonces, recent = Nonces(lambda: int(time[0]), lambda: time[1]), RecentAnswers(WINDOW)
    places, history, process = Places(), History(), psutil.Process()
    for number, outcomes in enumerate(rounds(count, miners)):
        recent.add(outcomes)
        places.add(number, outcomes)
        history = settle(history, outcomes)
        time = [time[0] + int(PAUSE * 1e9), time[1] + PAUSE]
        for _ in outcomes:
            time[0] += APART
            nonces.next()
        if (number + 1) % max(1, count // STEPS) == 0:
            gc.collect()
            give_back()
            yield number + 1, process.memory_info().rss, sys.getallocatedblocks(), len(nonces)


def result(looks: list[tuple[int, int, int, int]], miners: int) -> dict[str, Any]:
    """The table of the page."""
    half = np.array([look for look in looks if look[0] > max(WINDOW, looks[-1][0] / 2)], float)
    slope = np.polyfit(half[:, 0], half[:, 1], 1)[0] / 1e3 if len(half) > 1 else float("nan")
    return {
        "title": "What the game remembers",
        "command": f"python -m benchmarks.windows --rounds {looks[-1][0]} --miners {miners} "
        "--json benchmarks/results/windows.json",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"The windows of a validator alone, fed with the answers of {miners} miners in each of {looks[-1][0]:,} "
            "rounds: histories, the answers that are compared (twice: for the metrics and for shared places), and "
            "nonces of two hours. A process that does nothing else; libraries are most of its memory."
        ],
        "digits": [3, 2],
        "columns": ["rounds", "resident memory", "Python's blocks", "runs of nonces"],
        "rows": [
            [f"{number:,}", f"{memory / 1e6:.2f} MB", f"{blocks:,}", f"{runs:,}"]
            for number, memory, blocks, runs in looks
        ],
        "notes": [f"Over the second half memory grows by {slope:+.2f} MB in 1,000 rounds (least squares)."],
    }


if __name__ == "__main__":
    main()
