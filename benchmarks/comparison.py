"""All detectors that ship, side by side: how well they tell media they never saw, by level and generator, and the cost.

    python -m benchmarks.comparison [--images 200] [--clips 60] [--pans 60] [--seed 0]

Measures as `benchmarks.accuracy` does and writes the tables of docs/detectors.md to benchmarks/results, of which
`python -m benchmarks.tables` makes the page. Size and speed are printed: the timing is one machine's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.accuracy import Findings, measure, panned
from detectors import TABLE, load_detector
from detectors.acceleration.benchmark import examples, throughput
from detectors.checkpoints import HERE
from detectors.rows import DetectorRow
from neurons.progress import bar
from neurons.settings import home
from subnet.files import write_atomically
from subnet.types import Modality

METRICS = {"auc": "AUC, all", "accuracy": "accuracy", "mcc": "MCC", "ece": "ECE", "reward": "reward"}
UNSEEN = {Modality.IMAGE: "diffusion", Modality.VIDEO: "video-latent"}
TIMED = {Modality.IMAGE: 16, Modality.VIDEO: 2}
ABOUT = {
    "images": "Test images, each at every augmentation level, through the validator's own augmentation and encoder.",
    "clips": "The same on test clips of cameras, which come from four sources only: read the intervals.",
    "pans": "Pans over test photographs and their twins, which leave less room for chance than the clips.",
}
SPEED = "Items a second without a GPU: one by one as loaded, and all at once as a miner serves them, in one run."
Row = list[Any]


def interval(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell of a result file."""
    return {key: cell[key] for key in ("value", "low", "high")}


def line(found: Findings, unseen: str) -> Row:
    """Name, AUC at each level, METRICS over all of them, and AUC on the generator `unseen` alone."""
    levels = [interval(level["auc"]) for level in found["by_level"].values()]
    apart = found["by_generator"].get(unseen)
    over_all = [interval(found[name]) for name in METRICS]
    return [found["detector"], *levels, *over_all, interval(apart["auc"]) if apart else ""]


def cost(rows: Sequence[DetectorRow]) -> list[Row]:
    """Name, parameters, megabytes of the file, items a second one by one and as served, the backend that serves."""
    result = []
    with bar("speed", len(rows)) as progress:
        for done, row in enumerate(rows, 1):
            media = examples(row.modality, TIMED[row.modality])
            found = throughput(load_detector(row.name), media, cache=home() / "serving")
            size = (HERE / row.weights).stat().st_size / 1e6 if row.weights else 0.0
            published = f"{row.parameters:,}" if row.parameters else ""
            speeds = f"{found.plain:.1f}", f"{found.served:.1f}", found.backend
            sizes = f"{row.embedded_parameters:,}", published, f"{size:.1f}"
            result.append([row.name, str(row.modality), *sizes, *speeds])
            progress(done)
    return result


def write(name: str, title: str, about: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """One result file (`benchmarks.tables`)."""
    result = {
        "title": title,
        "command": "python -m benchmarks.comparison",
        "measured": datetime.now(UTC).date().isoformat(),
        "commit": "",
        "about": list(about),
        "digits": [3, 2],
        "columns": list(columns),
        "rows": list(rows),
        "notes": [],
    }
    write_atomically(tables.RESULTS / f"{name}.json", json.dumps(result, indent=1).encode() + b"\n")


def compare(kind: str, modality: Modality, limit: int, seed: int, folder: Path | None = None) -> None:
    """Measure and write the two tables of one kind of media."""
    findings = measure(modality, limit, seed, folder)
    unseen = UNSEEN[modality]
    best = sorted(findings, key=lambda found: -float(found["auc"]["value"]))
    told = f"{ABOUT[kind]} {findings[0]['items']} items, {findings[0]['answers']} answers; best AUC first."
    levels = [f"level {level}" for level in best[0]["by_level"]]
    head = ("detector", *levels, *METRICS.values(), f"AUC on {unseen}")
    write(f"accuracy-{kind}", kind.capitalize(), [told], head, [line(found, unseen) for found in best])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for kind, count in (("images", 200), ("clips", 60), ("pans", 60)):
        parser.add_argument(f"--{kind}", type=int, default=count, help="0 leaves them out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.images:
        compare("images", Modality.IMAGE, args.images, args.seed)
    if args.clips:
        compare("clips", Modality.VIDEO, args.clips, args.seed)
    if args.pans:
        compare("pans", Modality.VIDEO, args.pans, args.seed, panned(args.pans, args.seed))
    head = ("detector", "judges", "parameters", "as published", "MB", "items/s, one by one", "items/s, served", "by")
    print(SPEED)
    for row in (list(head), *cost([row for row in TABLE.values() if row.weights])):
        print(" | ".join(row))


if __name__ == "__main__":
    main()
