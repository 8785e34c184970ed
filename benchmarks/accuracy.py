"""How well every detector that ships with weights, and the guessers beside it, tell test media they never saw.

    python benchmarks/accuracy.py [--images 500] [--clips 60] [--pans 60] [--seed 0] [--markdown] [--json]

One pass over the embedded test set for each modality: all its detectors judge the very same variants, at every level,
through the validator's path, as `assay evaluate` does for one. Brackets are 95 % bootstrap intervals over photographs
or clips. The test clips come from four sources only; pans over the test photographs (`neurons.datasets.pans`) and their
twins tell with less room for chance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from detectors import TABLE, load_detector
from detectors.acceleration.accelerate import accelerated
from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.evaluation.intervals import span
from neurons.commands.evaluate import data_folder
from neurons.datasets.spec import DataSpec, materialise
from neurons.progress import bar
from neurons.settings import home
from subnet.protocols import Detector
from subnet.types import Modality, Split

DATA = "embedded:test"
Findings = dict[str, Any]


def panned(limit: int, seed: int) -> Path:
    """The folder of a test set of pans and their twins, `limit` items in all."""
    spec = DataSpec(Split.TEST, Modality.VIDEO, -(-limit // 2), seed=seed, pans=1.0)
    with bar("pans", 2 * spec.count) as progress:
        return materialise(spec, home() / "data", progress=progress)


def subjects(modality: Modality) -> list[Detector]:
    """Every detector of a modality that ships whole, as a miner serves it."""
    rows = [
        row
        for row in TABLE.values()
        if row.modality is modality and (row.weights or not row.family) and not row.requires
    ]
    return [accelerated(load_detector(row.name), cache=home() / "serving") for row in rows]


def task_of(modality: Modality, limit: int, seed: int, folder: Path | None = None) -> Task:
    """The embedded test set of a modality at all levels; `folder` in its place."""
    return Task(DATA, folder or data_folder(DATA, modality, limit, seed, "cpu"), limit=limit, seed=seed)


def measure(modality: Modality, limit: int, seed: int, folder: Path | None = None) -> list[Findings]:
    """Findings of every detector of a modality, on the same answers; `folder` in place of the embedded test set."""
    task = task_of(modality, limit, seed, folder)
    records = items(task, modality)
    with bar(f"{modality}s", len(records) * len(task.views)) as progress:
        return [found.findings for found in evaluate(subjects(modality), task, records, progress=progress)]


def cells(found: Findings) -> list[str]:
    """Name, AUC by level, and AUC, accuracy, MCC and reward over all of them."""
    aucs = [level["auc"] for level in found["by_level"].values()]
    whole = [found[name] for name in ("auc", "accuracy", "mcc", "reward")]
    return [
        found["detector"],
        *(f"{each['value']:.3f} [{span(each, join=', ')}]" for each in (*aucs, *whole)),
    ]


HEAD = ("detector", *(f"AUC, level {level}" for level in range(4)), "AUC, all", "accuracy", "MCC", "reward")


def by_generator(found: Findings) -> list[str]:
    """Name, and AUC on each generator's items against all reals."""
    values = [each["auc"] for each in found["by_generator"].values()]
    return [found["detector"], *(f"{each['value']:.3f} [{span(each, join=', ')}]" for each in values)]


def show(head: tuple[str, ...], rows: list[list[str]], markdown: bool) -> None:
    if markdown:
        for row in (head, ["---"] * len(head), *rows):
            print("| " + " | ".join(row) + " |")
        print()
        return
    table = Table(*head, box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=240).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=500, help="0 leaves them out")
    parser.add_argument("--clips", type=int, default=60, help="0 leaves them out")
    parser.add_argument("--pans", type=int, default=60, help="0 leaves them out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", action="store_true", help="tables as they stand in README.md")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    counts = {Modality.IMAGE: args.images, Modality.VIDEO: args.clips}
    found = {modality.value: measure(modality, count, args.seed) for modality, count in counts.items() if count}
    if args.pans:
        found["pans"] = measure(Modality.VIDEO, args.pans, args.seed, panned(args.pans, args.seed))
    if args.json:
        print(json.dumps(found))
        return
    for findings in found.values():
        show(HEAD, [cells(each) for each in findings], args.markdown)
        show(("detector", *findings[0]["by_generator"]), [by_generator(each) for each in findings], args.markdown)


if __name__ == "__main__":
    main()
