"""A frozen tower end to end, by commands alone: data, features, a head and its threshold, the report with its null.

    python -m benchmarks.frozen_tower TOWER FOLDER [--photographs 300] [--tested 150] [--seed 0] [--json FILE]

TOWER is whatever `assay train tower --tower` takes. Photographs of the train split, with two synthetic twins each, are
learnt from, those of the validation split draw the threshold, those of the test split are judged at all four levels.
The head is fitted twice, the second time on the features that are kept. Times are seconds of processor of the whole
command, its start included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from detectors.checkpoints import read
from detectors.evaluation.intervals import measure as measured
from detectors.evaluation.matrix.reading import read_matrix
from detectors.evaluation.matrix.table import NAME
from detectors.evaluation.metrics import Floats, Ints, Metric

ROOT = Path(__file__).parents[1]
TWINS = 2
COLUMNS = (
    *("detector", "AUC, all", "found at 1 % false alarms", "at 5 %", "found above the line", "false alarms above it"),
    *("AUC, pixels black", "training", "a second head, features kept"),
)
SEEDS = {"train": 11, "validation": 12, "test": 13}


def assay(*words: object) -> tuple[str, float]:
    """What a command prints, and the seconds of processor that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "neurons", *map(str, words)]
    out = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return out, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def written(folder: Path, split: str, count: int) -> Path:
    """The data of a split, made where they are not there."""
    place = folder / split
    if not any(place.glob("*/index.jsonl")):
        words = ("--split", split, "--count", count, "--twins", TWINS, "--seed", SEEDS[split])
        assay("dataset", "--out", place, *words)
    return next(place.glob("*/index.jsonl")).parent


def measure(tower: Path, folder: Path, photographs: int, tested: int, seed: int) -> dict[str, Any]:
    """All of it in `folder`."""
    counts = {"train": photographs, "validation": tested, "test": tested}
    data = {split: written(folder, split, count) for split, count in counts.items()}
    learn = ("train", "tower", "--tower", tower, "--data", data["train"], "--validation", data["validation"])
    more = ("--features", folder / "features", "--seed", seed, "--device", "cpu", "--json")
    _, first = assay(*learn, *more, "--out", folder / "first")
    _, second = assay(*learn, *more, "--out", folder / "second")
    head = folder / "second" / "tower.safetensors"
    asked = ("--data", data["test"], "--out", folder / "report", "--null", "--device", "cpu", "--json")
    found, _ = assay("evaluate", f"tower={tower},{head}", *asked)
    line = read(head).notes["threshold"]["p"]
    return {"first_s": first, "second_s": second, "threshold": line, **json.loads(found)}


def above(line: float, label: int) -> Metric:
    """The share of one class whose answers lie above `line`."""

    def share(p: Floats, y: Ints, w_RN: Floats) -> Floats:
        counted = w_RN * (y == label)
        return np.asarray((counted * (p > line)).sum(1) / counted.sum(1))

    return share


def cells(found: dict[str, Any], report: Path) -> list[Any]:
    """The row: what the report says, and the shares above the line that the held-out reals drew."""
    answers = read_matrix(report / NAME)[0].answers
    metrics = {name: above(found["threshold"], label) for name, label in (("found", 1), ("false alarms", 0))}
    shares = measured(answers.p, answers.y, answers.cluster, metrics)
    rates = [found[name] for name in ("auc", "tpr_at_1_fpr", "tpr_at_5_fpr")]
    kept = [{key: each[key] for key in ("value", "low", "high")} for each in (*rates, found["null"]["auc"])]
    times = [f"{found[name]:.0f} s" for name in ("first_s", "second_s")]
    return [*kept[:3], *(each.to_json() for each in shares.values()), kept[3], *times]


def result(tower: str, row: Sequence[Any], found: dict[str, Any]) -> dict[str, Any]:
    counts = f"{found['items']} items of {found['clusters']} photographs of the test split"
    return {
        "title": "A frozen tower and a head",
        "command": f"python -m benchmarks.frozen_tower {tower} FOLDER",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"`assay train tower --tower {tower}` and `assay evaluate` of the head: {counts}, at four levels. The line "
            f"is the head's own, p = {found['threshold']:.3f}: at most 1 % of the held-out reals lie above it. The "
            "null is the AUC with all pixels black. Seconds of processor are of whole commands, their start included."
        ],
        "digits": [3, 2],
        "columns": list(COLUMNS),
        "rows": [["a tower and a linear head", *row]],
        "notes": [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("tower", type=Path)
    parser.add_argument("folder", type=Path, help="for data, features, heads and the report, all kept")
    parser.add_argument("--photographs", type=int, default=300)
    parser.add_argument("--tested", type=int, default=150, help="photographs of the validation and of the test split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    found = measure(given.tower.resolve(), given.folder.resolve(), given.photographs, given.tested, given.seed)
    row = cells(found, given.folder.resolve() / "report")
    print(*row, sep="\n")
    if given.json:
        given.json.write_text(json.dumps(result(given.tower.name, row, found), indent=1) + "\n")


if __name__ == "__main__":
    main()
