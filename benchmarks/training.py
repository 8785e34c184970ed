"""Training on more items than fit in memory, beside the same with all of them held: steps a second, and peak memory.

    python -m benchmarks.training [--items 200000] [--held 4000] [--steps 200] [--folder DIR] [--json]

Items are JPEGs of 64 pixels that repeat a few hundred pictures, each real with a twin that was scaled down and up, in
shards of parquet. Both runs are `npr` on crops of 64 pixels, each in a process of its own, timed by seconds of CPU, so
that a busy machine moves the figures less than it would move a clock: one reads all items in windows of a memory of
0.25 GiB, one holds the first `held` of them, as training did of any set before it read in windows.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

SIDE = 64
DIFFERENT = 200  # pictures that the items repeat
MEMORY = 0.25  # GiB
EACH = 2000
JUDGED = 80  # items of the validation set


def pictures(rng: np.random.Generator) -> list[tuple[bytes, bytes]]:
    """Reals and their twins, encoded."""
    from subnet.codec import image as codec
    from subnet.game.operators import rescale
    from subnet.types import Media

    made = []
    for _ in range(DIFFERENT):
        coarse = rng.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
        smooth = np.kron(coarse, np.ones((1, SIDE // 8, SIDE // 8, 1))) + rng.normal(0, 12, (1, SIDE, SIDE, 3))
        real = smooth.clip(0, 255).astype(np.uint8)
        made.append(tuple(codec.encode_image(Media(each), 90) for each in (real, rescale(real, 0.5))))
    return made


def write(root: Path, items: int) -> None:
    """`items` items in shards below `root`, and a few below `root`-validation."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pictures(np.random.default_rng(0))
    for folder, count in ((root, items), (root.with_name(f"{root.name}-validation"), JUDGED)):
        folder.mkdir(parents=True)
        for shard, start in enumerate(range(0, count, EACH)):
            numbers = range(start, min(count, start + EACH))
            rows: dict[str, list[Any]] = {
                "image": [made[number // 2 % DIFFERENT][number % 2] for number in numbers],
                "label": [number % 2 for number in numbers],
                "origin": [("camera", f"generator-{number // 2 % 4}")[number % 2] for number in numbers],
                "pair": [f"{folder.name}/{number // 2}" for number in numbers],
                "item": [f"{folder.name}/{number // 2}" for number in numbers],
            }
            pq.write_table(pa.table(rows), folder / f"part-{shard:05d}.parquet", row_group_size=100, compression="none")


def run(root: Path, held: int | None, steps: int, name: str) -> dict[str, float]:
    """One run in this process: seconds of CPU until the first step, steps a second of CPU after it, peak memory in MB.

    What is decoded ahead counts where it is done; the reader of parquet is a process of its own and does not.
    """
    import torch

    from detectors.training.batches import BatchPlan
    from detectors.training.loop import Progress, Training, train

    torch.set_num_threads(1)
    spent: list[float] = []
    losses: list[float] = []

    def report(progress: Progress) -> None:
        spent.append(time.process_time())
        losses.append(progress.losses["loss"])

    settings = Training(
        "npr",
        root,
        root.with_name(f"{name}.safetensors"),
        validation=root.with_name(f"{root.name}-validation"),
        steps=steps,
        plan=BatchPlan(pairs=8, crop=64),
        evaluate_every=10 * steps,
        save_every=10,
        validation_items=20,
        memory=MEMORY,
    )
    if held is not None:
        chosen = [f"{root.name}/{number}" for number in range(held // 2)]
        chosen += [f"{root.name}-validation/{number}" for number in range(JUDGED // 2)]
        settings = replace(settings, items=tuple(chosen), memory=1000.0)
    train(settings, report)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    return {
        "steps": len(spent),
        "first_step_cpu_s": spent[0],
        "steps_per_cpu_s": (len(spent) - 1) / (spent[-1] - spent[0]),
        "peak_mb": largest,
        "reader_mb": children,
        "last_loss": losses[-1],
    }


def child(root: Path, held: int | None, steps: int, name: str) -> dict[str, float]:
    """`run` in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.training", "--one", name, "--folder", str(root), "--steps", str(steps)]
    words += ["--held", str(held or 0)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(root: Path, items: int, held: int, steps: int) -> dict[str, Any]:
    """All runs, one after another."""
    shards = root / "items"
    if not shards.is_dir():
        write(shards, items)
    size = sum(path.stat().st_size for path in shards.iterdir()) / 1e6
    in_windows = child(shards, None, steps, "windows")
    return {
        "items": items,
        "shards_mb": size,
        "decoded_gb": items * 196_608 / 1e9,
        "windows": in_windows,
        "held_items": held,
        "held": child(shards, held, steps, "held"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--held", type=int, default=4000, help="items of the run that holds all it has")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="folder for shards and weights, kept; by default one that goes")
    parser.add_argument("--one", help="a single run by this name, in this process")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run(given.folder, given.held or None, given.steps, given.one)))
        return
    with TemporaryDirectory() as scratch:
        found = measure(given.folder or Path(scratch), given.items, given.held, given.steps)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for name in ("windows", "held"):
        row = found[name]
        print(
            f"{name:8} {row['steps_per_cpu_s']:.2f} steps per CPU second, first after {row['first_step_cpu_s']:.0f} s, "
            f"peak {row['peak_mb']:.0f} MB, reader {row['reader_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
