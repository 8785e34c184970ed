"""What a detector knows of generators that it was never trained on: leave one family out, train, measure, in turn.

    python benchmarks/leave_one_out.py npr ucf camo tall [--data FOLDER] [--items 100] [--json]

For every family of fakes in the training data a detector is trained on all others (a short course, the same for every
family: `COURSES`) and measured on test items of that family and as many reals, through the validator's path, at every
level. Intervals are 95 % bootstrap intervals over photographs or clips. Families that no course ever trains on (the
diffusion model, which only the test set has) are measured with the weights that ship. `--data` names a folder with
`image/` and `video/`, each with train, validation and test sets (`assay dataset`); by default they are made from the
embedded set. An interrupted run goes on where it was. The whole table is hours on two cores; it is not part of
`make bench`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from detectors import TABLE
from detectors.acceleration.accelerate import accelerated
from detectors.dataset.items import DatasetItem, read_folder
from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.evaluation.intervals import span
from detectors.loading import open_detector
from detectors.training.loop import Progress, Training, train
from detectors.training.recipes import recipe
from neurons.datasets.learning import PANS
from neurons.datasets.spec import DataSpec, materialise
from subnet.types import Label, Modality, Split

# Recipes in turn, each with its steps and started from the weights of the one before.
COURSES: dict[str, tuple[tuple[str, int], ...]] = {
    "npr": (("npr", 300),),
    "ucf": (("ucf-plain", 1200), ("ucf", 300)),
    "camo": (("npr", 300), ("camo", 30)),
    "tall": (("tall-stills", 1800), ("tall", 400)),
}
MADE = {Modality.IMAGE: (300, 3), Modality.VIDEO: (160, 2)}  # real items, and twins of each, where no data are given
TRAINED_ON = {
    Modality.IMAGE: ("ae-transposed", "ae-nearest", "ae-shuffle"),
    Modality.VIDEO: ("video-jitter", "video-latent"),
}


@dataclass(frozen=True)
class Sets:
    """Where the sets lie: one folder a modality and split."""

    root: Path | None

    def __call__(self, modality: Modality, split: Split) -> Path:
        if self.root:
            return self.root / modality / split
        count, twins = MADE[modality]
        learnt = split is not Split.TEST
        names, pans = TRAINED_ON[modality] if learnt else (), PANS if learnt and modality is Modality.VIDEO else 0.0
        few = count if split is Split.TRAIN else max(24, count // 4)
        return materialise(DataSpec(split, modality, few, twins, 0, names, pans), Path("runs/leave-one-out/data"))


def families(records: Sequence[DatasetItem]) -> list[str]:
    """Origins of fakes."""
    return sorted({record.origin for record in records if record.label is Label.SYNTHETIC})


def trained(detector: str, left_out: str, sets: Sets, out: Path, threads: int) -> Path:
    """Weights of the whole course without one family; stages that are done already are not run again."""
    torch.set_num_threads(threads)
    weights: Path | None = None
    for stage, steps in COURSES[detector]:
        modality = recipe(stage).family.modality
        data = sets(modality, Split.TRAIN)
        file = out / (f"{stage}-without-{left_out}" if left_out in families(read_folder(data)) else stage)
        settings = Training(
            stage,
            data,
            file.with_suffix(".safetensors"),
            validation=sets(modality, Split.VALIDATION),
            steps=steps,
            exclude=(left_out,),
            init=weights,
            experts=(("ucf", trained("ucf", left_out, sets, out, threads)),) if stage == "camo" else (),
            evaluate_every=200,
            save_every=100,
            patience=99,
        )
        weights = settings.out
        if not weights.is_file():
            print(f"{file.name}: {steps} steps", file=sys.stderr, flush=True)
            train(settings, _tell)
    assert weights is not None
    return weights


def _tell(progress: Progress) -> None:
    if progress.auc is not None:
        print(f"  step {progress.step}: validation AUC {progress.auc:.3f}", file=sys.stderr, flush=True)


def measured(name: str, family: str, sets: Sets, limit: int | None, workers: int) -> dict[str, Any]:
    """AUC over all levels and by level, of detector `name` (a row or NAME=FILE), on one family and the reals."""
    detector = accelerated(open_detector(name), cache=None)
    folder = sets(detector.modality, Split.TEST)
    task = Task(str(folder), folder, workers=workers)
    records = items(task, detector.modality)
    fakes = [r for r in records if r.origin == family][:limit]
    pairs = {r.pair for r in fakes}
    reals = [r for r in records if r.label is Label.REAL]
    reals = [r for r in reals if r.pair in pairs] or reals[: len(fakes)]
    found = evaluate([detector], task, [*reals, *fakes])[0].findings
    by_level = {level: values["auc"] for level, values in found["by_level"].items()}
    return {"items": len(reals) + len(fakes), "auc": found["auc"], "by_level": by_level}


def rows(names: Sequence[str], sets: Sets, out: Path, limit: int | None, threads: int) -> Iterator[dict[str, Any]]:
    """One row a detector and family, as they are finished."""
    for name in names:
        modality = TABLE[name].modality
        known = families(read_folder(sets(modality, Split.TRAIN)))
        for family in families(read_folder(sets(modality, Split.TEST))):
            weights = f"{name}={trained(name, family, sets, out, threads)}" if family in known else name
            about = {"detector": name, "left_out": family, "course": COURSES[name] if family in known else "as shipped"}
            yield {**about, **measured(weights, family, sets, limit, threads)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("detectors", nargs="+", choices=sorted(COURSES))
    parser.add_argument("--data", type=Path, help="folder with image/ and video/, each with train, validation, test")
    parser.add_argument("--items", type=int, default=None, help="most fakes of a family")
    parser.add_argument("--out", type=Path, default=Path("runs/leave-one-out"), help="weights and states")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = []
    for row in rows(args.detectors, Sets(args.data), args.out, args.items, args.threads):
        found.append(row)
        if args.json:
            print(json.dumps(row), flush=True)
    if not args.json:
        table = Table("detector", "left out", "items", "AUC", *(f"level {n}" for n in range(4)), box=None)
        for row in found:
            cells = (row["auc"], *row["by_level"].values())
            texts = [f"{cell['value']:.3f} [{span(cell, '.2f', ', ')}]" for cell in cells]
            table.add_row(row["detector"], row["left_out"], str(row["items"]), *texts)
        Console().print(table)


if __name__ == "__main__":
    main()
