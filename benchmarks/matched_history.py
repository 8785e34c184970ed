"""What a detector learns where photographs are JPEG and fakes are not, with and without `--recipe matched-history`.

    python -m benchmarks.matched_history FOLDER [--photographs 50] [--steps 120] [--json FILE]

Photographs of the train split and their twins by the embedded autoencoder; photographs are stored as JPEG of quality
75, twins as PNG, and `npr` is trained on them from nothing. It judges photographs of the test split and their twins
three times, as a validator shows them at level 0: stored as in training, without loss, and the other way round, twins
as JPEG. A detector of fakes says the same each time. The control is the same training on files without loss.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import generators
from detectors.dataset.items import read_folder
from detectors.evaluation.intervals import resamples
from detectors.field_recipes.table import FIELD_RECIPES
from detectors.loading import open_detector
from detectors.torch_detector import TorchDetector
from detectors.training.batches import BatchPlan
from detectors.training.loop import Training, train
from detectors.training.validation_set import examples
from subnet.media.dataset_folder import IndexRow, write_index
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.leak.roc import auc
from subnet.types import Label, Modality, Split

NAMES = ("ae-transposed", "ae-nearest", "ae-shuffle")
QUALITY, TESTED = 75, 40
STORED = {
    "photographs JPEG, fakes not": (True, False),
    "none": (False, False),
    "fakes JPEG, photographs not": (False, True),
}
SIZE = {"pairs": 6, "crop": 64, "early": (1.0, 0.0, 0.0, 0.0), "late": (1.0, 0.0, 0.0, 0.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=int, default=50)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    rows = [
        measured(given.folder, "JPEG against PNG", "none", given.photographs, given.steps),
        measured(given.folder, "JPEG against PNG", "matched-history", given.photographs, given.steps),
        measured(given.folder, "control: no JPEG", "none", given.photographs, given.steps),
    ]
    for row in rows:
        print(*[cell if isinstance(cell, str) else f"{cell['value']:.3f}" for cell in row], sep="  ")
    if given.json:
        given.json.write_text(json.dumps(result(rows, given.photographs, given.steps), indent=1) + "\n")


def measured(folder: Path, trained_on: str, recipe: str, count: int, steps: int) -> list[Any]:
    """One row: a training, and the AUC over each way of storing the test set."""
    leaking = trained_on != "control: no JPEG"
    learn = written(folder / f"train-{leaking}", Split.TRAIN, count, (leaking, False))
    held = written(folder / "validation", Split.VALIDATION, 10, (False, False))
    plan = BatchPlan(**SIZE, **(FIELD_RECIPES[recipe].plan if recipe != "none" else {}))  # type: ignore[arg-type]
    out = folder / f"npr-{leaking}-{recipe}.safetensors"
    train(Training("npr", learn, out, held, steps=steps, plan=plan, evaluate_every=steps, validation_items=20))
    cells = [
        judged(out, written(folder / f"test-{way}", Split.TEST, TESTED, how)) for way, how in enumerate(STORED.values())
    ]
    return [trained_on, recipe, *cells]


def written(folder: Path, split: Split, count: int, stored: tuple[bool, bool]) -> Path:
    """`count` photographs and a twin of each; `stored` says which of reals and fakes are JPEG."""
    if (folder / "index.jsonl").is_file():
        return folder
    folder.mkdir(parents=True)
    source, rows = EmbeddedSource(split), []
    makers = [generators.load_generator(name) for name in NAMES]
    for number in range(count):
        rng = np.random.default_rng([7, number])
        real = source.draw(Modality.IMAGE, Label.REAL, rng)
        twin = makers[number % len(makers)].reconstruct(real, rng)  # type: ignore[attr-defined]
        for label, sample in enumerate((real, twin)):
            file = f"{number}-{label}.{'jpg' if stored[label] else 'png'}"
            how = {"quality": QUALITY} if stored[label] else {}
            Image.fromarray(sample.media.frames[0]).save(folder / file, **how)
            origin = sample.provenance.model or "embedded"
            rows.append(IndexRow(file, label, "image", origin, f"{split}/{number}", None, "", real.provenance.item))
    write_index(folder, rows)
    return folder


def judged(weights: Path, folder: Path) -> dict[str, float]:
    """AUC at level 0, with its interval over photographs."""
    detector = open_detector(str(weights))
    assert isinstance(detector, TorchDetector)
    records = read_folder(folder)
    shown = examples(records, len(records), seed=0, levels=(0,))
    contents = {name: number for number, name in enumerate(sorted({record.item for record in shown.records}))}
    clusters = np.array([contents[record.item] for record in shown.records])
    scores, labels = detector.logits(shown.media).double().numpy(), np.array(shown.labels)
    spread = auc(scores, labels, resamples(clusters, 1000, 0))
    low, high = np.nanquantile(spread, [0.025, 0.975])
    value = float(auc(scores, labels, np.ones((1, len(labels))))[0])
    return {"value": round(value, 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def result(rows: Sequence[list[Any]], count: int, steps: int) -> dict[str, Any]:
    return {
        "title": "Photographs as JPEG, fakes as PNG: what a detector learns of it",
        "command": "python -m benchmarks.matched_history FOLDER",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"npr from nothing, {steps} steps of 6 pairs, {count} photographs of the train split and their twins; AUC "
            f"over {TESTED} photographs of the test split and their twins at level 0, by how those are stored (JPEG of "
            f"quality {QUALITY}). What judges fakes says the same in all three columns."
        ],
        "digits": [3, 2],
        "columns": ["trained on", "recipe", *(f"AUC, {way}" for way in ("stored as trained", "no JPEG", "fakes JPEG"))],
        "rows": list(rows),
        "notes": [],
    }


if __name__ == "__main__":
    main()
