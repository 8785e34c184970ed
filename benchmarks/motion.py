"""Is it motion? Detectors of clips on temporal twins of test clips, of which single frames tell nothing.

    python -m benchmarks.motion [--train 48] [--pairs 40] [--seed 0] [--folder runs/motion]

Trains `temporal-order` on twins of the training split, tunes it on the validation split, and asks it beside detectors
that ship about twins of the test split, at every level, through the validator's path: as they are, shuffled, backwards,
and as one frame repeated. Beside them stands what has to be beaten: how much neighbouring frames differ, the bytes of
the file, and a constant. Writes benchmarks/results/motion.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import Findings
from benchmarks.comparison import MOVED, SHOWN, interval, share, write
from detectors import load_detector
from detectors.dataset.items import DatasetItem
from detectors.evaluation.encoded_size import encoded_size_control
from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.loading import open_detector
from detectors.training.loop import Training, train
from generators.embedded.temporal_twins import KINDS
from neurons.datasets.learning import PANS
from neurons.datasets.spec import DataSpec, materialise
from neurons.progress import bar
from subnet.protocols import Detector
from subnet.types import Media, Modality, Prediction, Split

NAME = "temporal-order"
BESIDE = ("tall", "constant-video")
COLUMNS = ("detector", "AUC, all", *(f"AUC on {kind}" for kind in KINDS), *MOVED)
NOTES = (
    "The label says whether frames follow each other evenly; both twins of a pair are drawn alike, so that a detector "
    "which knows single frames has to stand at one half. `frame difference` answers the mean absolute difference of "
    "neighbouring frames; `encoded size` the bytes of the file, in the direction that does better here.",
    "The temporal share is (AUC - AUC shuffled) / (AUC - 0.5), kept within 0 to 1; none where the AUC is not surely "
    "above one half.",
    "`temporal-order` is trained on the same four kinds of unevenness, of other clips and seeds: this shows that it "
    "sees motion, not that it finds what today's generators do wrong. No weights of it ship.",
)


class FrameDifference:
    """Answers the mean absolute difference d of neighbouring frames, in grey values, as d / (1 + d)."""

    name = "frame difference"
    modality = Modality.VIDEO
    weights_hash = ""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        away = [float(np.abs(np.diff(media.frames.astype(np.float32), axis=0)).mean()) for media in batch]
        return [Prediction(each / (1 + each)) for each in away]


def twins(split: Split, count: int, seed: int, folder: Path) -> Path:
    """The folder of `count` pairs of temporal twins of a split."""
    spec = DataSpec(split, Modality.VIDEO, count, 1, seed, pans=PANS, motion=True)
    with bar(f"{split} twins", spec.items) as progress:
        return materialise(spec, folder, progress=progress)


def trained(count: int, seed: int, folder: Path) -> Path:
    """The weights of `temporal-order`, trained on `count` pairs and tuned on a half as many."""
    settings = Training(
        NAME,
        twins(Split.TRAIN, count, seed, folder),
        folder / f"{NAME}.safetensors",
        validation=twins(Split.VALIDATION, -(-count // 2), seed, folder),
        seed=seed,
    )
    return train(settings).weights


def row(found: Findings) -> list[Any]:
    """The cells of COLUMNS."""
    by_kind = found["by_generator"]
    kinds = [interval(by_kind[f"uneven-{kind}"]["auc"]) if f"uneven-{kind}" in by_kind else "" for kind in KINDS]
    orders = found.get("controls", {})
    moved = [interval(orders[form]["auc"]) if form in orders else "" for form in SHOWN]
    return [found["detector"], interval(found["auc"]), *kinds, *moved, *share(found, video=True)]


def measure(detectors: Sequence[Detector], task: Task, records: Sequence[DatasetItem]) -> list[list[Any]]:
    """A row for each detector, in their order, and for the size of the files."""
    with bar("motion", len(records) * len(task.asked)) as progress:
        found = [each.findings for each in evaluate(detectors, task, records, progress=progress)]
    with bar("encoded sizes", len(records) * len(task.views)) as progress:
        found.append(encoded_size_control(task, records, progress))
    return [row(each) for each in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=int, default=48, help="pairs to train on")
    parser.add_argument("--pairs", type=int, default=40, help="pairs to judge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/motion"))
    args = parser.parse_args()
    own = open_detector(str(trained(args.train, args.seed, args.folder)))
    task = Task("temporal twins", twins(Split.TEST, args.pairs, args.seed, args.folder), in_forms=2 * args.pairs)
    task_items = items(task, Modality.VIDEO)
    rows = measure([own, *map(load_detector, BESIDE), FrameDifference()], task, task_items)
    about = (
        f"{args.pairs} pairs of temporal twins of test clips, three in four of them pans over test photographs, at "
        f"every augmentation level: {len(task_items) * len(task.views)} answers. Trained on {args.train} other pairs."
    )
    command = f"python -m benchmarks.motion --train {args.train} --pairs {args.pairs}"
    write("motion", "Motion alone", [about], COLUMNS, rows, NOTES, command=command)


if __name__ == "__main__":
    main()
