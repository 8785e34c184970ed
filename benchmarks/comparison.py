"""All detectors that ship, side by side: how well they tell media they never saw, by level and generator, and the cost.

    python -m benchmarks.comparison [--images 200] [--clips 60] [--pans 60] [--seed 0] [--no-cost | --untimed]

Measures as `benchmarks.accuracy` does and writes the tables of docs/detectors.md to benchmarks/results, of which
`python -m benchmarks.tables` makes the page. Beside the detectors stand what has to be beaten: a constant, chance, the
size of the encoded file, and for clips the same frames in another order and one frame repeated. Only the cost, again:

    python -m benchmarks.comparison --images 0 --clips 0 --pans 0
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.accuracy import Findings, panned, subjects, task_of
from detectors import TABLE, load_detector
from detectors.acceleration.benchmark import Throughput, examples, throughput
from detectors.checkpoints import HERE
from detectors.ensemble.stack import Ensemble
from detectors.evaluation.encoded_size import encoded_size_control
from detectors.evaluation.evaluation import evaluate, items
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
SHOWN = {
    "shuffled": "AUC, frames shuffled",
    "reversed": "AUC, frames reversed",
    "still": "AUC, one frame repeated",
}
MOVED = (*SHOWN.values(), "temporal share")
SIZE = (
    "`encoded size` takes the bytes of the same files for an answer, larger or smaller for synthetic, whichever does "
    "better here; `constant` and `random` answer what their names say."
)
COST = ("detector", "judges", "parameters", "as published", "MB", "items/s, one by one", "items/s, served")
COST_MORE = ("CPU ms an item, served", "by")
COST_NOTES = (
    "Parameters are all numbers that were learnt: heads, gates and the fingerprints that `retrieval` knows pictures by "
    "count, too. `ensemble` and `camo` count their members and experts.",
)
TIMING = "python -m benchmarks.comparison --images 0 --clips 0 --pans 0"
Row = list[Any]
Cell = Mapping[str, Any]


def interval(cell: Cell) -> dict[str, Any]:
    """A cell of a result file."""
    return {key: cell[key] for key in ("value", "low", "high")}


def line(found: Findings, unseen: str, *, video: bool = False) -> Row:
    """Name, AUC at each level, METRICS over all of them, AUC on the generator `unseen` alone; of clips AUC in each
    order SHOWN and the share of the evidence that is temporal.

    What was not measured is empty.
    """
    levels = [interval(level["auc"]) for level in found["by_level"].values()]
    apart = found["by_generator"].get(unseen)
    over_all = [interval(found[name]) if name in found else "" for name in METRICS]
    orders = found.get("controls", {})
    moved = [interval(orders[form]["auc"]) if form in orders else "" for form in SHOWN] if video else []
    return [
        found["detector"],
        *levels,
        *over_all,
        interval(apart["auc"]) if apart else "",
        *moved,
        *share(found, video),
    ]


def share(found: Findings, video: bool) -> Row:
    """The cell of the temporal share: "none" where there is no evidence to share, nothing for images."""
    if not video:
        return []
    cell = found.get("temporal_share")
    return ["" if cell is None else "none" if cell["value"] is None else interval(cell)]


def motion(ranked: Sequence[Findings]) -> str:
    """Who is sure to tell clips less well from one frame repeated, in words."""
    losers = [each["detector"] for each in ranked if _loses(each["controls"]["still"]["plain_minus_this"])]
    named = ", ".join(f"`{name}`" for name in losers) or "no detector"
    return (
        f"Sure to lose by one frame repeated (the paired interval lies above 0): {named}. Who loses nothing looks at "
        "single frames. The temporal share is (AUC - AUC shuffled) / (AUC - 0.5), kept within 0 to 1; none where the "
        "AUC is not surely above one half."
    )


def _loses(less: Cell) -> bool:
    return bool(less["sure"]) and float(less["value"]) > 0


def weigh(row: DetectorRow) -> tuple[int, float]:
    """Numbers that were learnt, and megabytes of its file; of a stack its members' too."""
    detector = load_detector(row.name)
    members = [TABLE[name] for name in detector.members] if isinstance(detector, Ensemble) else []
    return row.embedded_parameters, sum((HERE / each.weights).stat().st_size for each in (row, *members)) / 1e6


def cost_line(row: DetectorRow, found: Throughput | None) -> Row:
    """The cells of COST and COST_MORE; speeds are empty where they were not measured."""
    parameters, size = weigh(row)
    published = f"{row.parameters:,}" if row.parameters else ""
    speeds = ["", "", "", ""]
    if found is not None:
        speeds = [f"{found.plain:.1f}", f"{found.served:.1f}", f"{1000 * found.served_cpu:.0f}", found.backend]
    return [row.name, str(row.modality), f"{parameters:,}", published, f"{size:.2f}", *speeds]


def cost(timed: bool = True) -> None:
    """Measure and write the table of sizes, and of speeds where the machine is left alone for it (`timed`)."""
    rows, (load, *_) = [row for row in TABLE.values() if row.weights], os.getloadavg()
    lines = []
    with bar("cost", len(rows)) as progress:
        for done, row in enumerate(rows, 1):
            lines.append(cost_line(row, _speed(row) if timed else None))
            progress(done)
    trusted = "the clock tells the truth" if load < 0.3 else "trust processor time (CPU) more than the clock"
    about = (
        "Images or clips a second without a GPU: one by one as loaded, and all at once as a miner serves them, in "
        f"turns; the best of three rounds. {os.cpu_count()} cores, under a load of {load:.1f} by other work: {trusted}."
    )
    if not timed:
        about = f"Speeds are not measured yet: that takes a machine that does nothing else, and `{TIMING}`."
    write("cost", "Speed and size", [about], (*COST, *COST_MORE), lines, COST_NOTES)


def _speed(row: DetectorRow) -> Throughput:
    media = examples(row.modality, TIMED[row.modality])
    return throughput(load_detector(row.name), media, cache=home() / "serving")


def write(
    name: str,
    title: str,
    about: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Row],
    notes: Sequence[str] = (),
    *,
    command: str = "python -m benchmarks.comparison",
) -> None:
    """One result file (`benchmarks.tables`)."""
    result = {
        "title": title,
        "command": command,
        "measured": datetime.now(UTC).date().isoformat(),
        "commit": "",
        "about": list(about),
        "digits": [3, 2],
        "columns": list(columns),
        "rows": list(rows),
        "notes": list(notes),
    }
    write_atomically(tables.RESULTS / f"{name}.json", json.dumps(result, indent=1).encode() + b"\n")


def compare(kind: str, modality: Modality, limit: int, seed: int, folder: Path | None = None) -> None:
    """Measure and write the table of one kind of media: all detectors, best first, and the controls beside them."""
    video = modality is Modality.VIDEO
    task = replace(task_of(modality, limit, seed, folder), in_forms=limit if video else 0)
    records, found = items(task, modality), subjects(modality)
    with bar(kind, len(records) * len(task.asked)) as progress:
        measured = evaluate(found, task, records, progress=progress)
    with bar("encoded sizes", len(records) * len(task.views)) as progress:
        sizes = encoded_size_control(task, records, progress)
    ranked = sorted((each.findings for each in measured), key=lambda each: -float(each["auc"]["value"]))
    unseen = UNSEEN[modality]
    told = f"{ABOUT[kind]} {len(records)} items, {len(records) * len(task.views)} answers; best AUC first."
    columns = ("detector", *(f"level {level}" for level in task.levels), *METRICS.values(), f"AUC on {unseen}")
    rows = [line(each, unseen, video=video) for each in ranked]
    rows.append(line(sizes, unseen, video=video))
    notes = [SIZE, motion(ranked)] if video else [SIZE]
    write(f"accuracy-{kind}", kind.capitalize(), [told], (*columns, *(MOVED if video else ())), rows, notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for kind, count in (("images", 200), ("clips", 60), ("pans", 60)):
        parser.add_argument(f"--{kind}", type=int, default=count, help="0 leaves them out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-cost", action="store_true", help="leaves speed and size out")
    parser.add_argument("--untimed", action="store_true", help="leaves speed out, on a machine with other work")
    args = parser.parse_args()
    if args.images:
        compare("images", Modality.IMAGE, args.images, args.seed)
    if args.clips:
        compare("clips", Modality.VIDEO, args.clips, args.seed)
    if args.pans:
        compare("pans", Modality.VIDEO, args.pans, args.seed, panned(args.pans, args.seed))
    if not args.no_cost:
        cost(timed=not args.untimed)


if __name__ == "__main__":
    main()
