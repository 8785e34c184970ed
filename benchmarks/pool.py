"""What one challenge costs before it leaves: draw from the pool, augment, encode, retire.

    python benchmarks/pool.py [--items 2000] [--draws 400] [--hotkeys 50] [--sustain SECONDS] [--json]

A pool of `items` (95 % images, 5 % clips of 16 frames, 256x256, cut from the embedded photos) is filled by the
producer's own loop; then challenges are drawn for `hotkeys` miners with a ledger on disk, and each is made into one
variant, as the validator does. Milliseconds on the wall clock and of CPU time in this thread, so that a busy machine
can be told from slow code. `list` is the price of reading the whole pool's levels, `put` of one item stored with fsync.

With `--sustain` a second process refills the same pool with the embedded generators while this one draws 10 items a
second; it reports the level of the whole pool and of its emptiest cell relative to the plan, at the start and at the
end, how late draws were, and how many items any hotkey was asked twice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from subnet.media.folder import EmbeddedSource
from subnet.media.item import Cell
from subnet.media.ledger import Ledger
from subnet.media.pool import Drawn, Pool
from subnet.media.production import Plan, Producer, equal_shares
from subnet.types import Challenge, Label, Modality, Sample, Split
from subnet.variant import variant

ORIGINS = ("ae-transposed", "ae-nearest", "ae-shuffle")
CELLS = [
    Cell(Modality.IMAGE, Label.REAL, "embedded"),
    Cell(Modality.VIDEO, Label.REAL, "embedded"),
    *(Cell(Modality.IMAGE, Label.SYNTHETIC, origin) for origin in ORIGINS),
    Cell(Modality.VIDEO, Label.SYNTHETIC, "video-jitter"),
]
RATE = 10.0  # draws a second in --sustain
Row = dict[str, float]
T = TypeVar("T")


class Clocks:
    """Wall and CPU milliseconds of what runs, by name."""

    def __init__(self) -> None:
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}

    def run(self, name: str, work: Callable[[], T]) -> T:
        wall, cpu = time.perf_counter(), time.thread_time()
        result = work()
        self.wall.setdefault(name, []).append(1000 * (time.perf_counter() - wall))
        self.cpu.setdefault(name, []).append(1000 * (time.thread_time() - cpu))
        return result

    def rows(self) -> dict[str, Row]:
        return {
            name: {
                "count": len(wall),
                "wall_p50": float(np.quantile(wall, 0.5)),
                "wall_p99": float(np.quantile(wall, 0.99)),
                "cpu_p50": float(np.quantile(self.cpu[name], 0.5)),
                "cpu_p99": float(np.quantile(self.cpu[name], 0.99)),
            }
            for name, wall in self.wall.items()
        }


def plan_of(items: int, stream: str) -> Plan:
    return equal_shares(CELLS, items, seed=1, stream=stream)


def crops(cell: Cell) -> Callable[[np.random.Generator], Sample]:
    """Cuts of the embedded photos and clips, whatever the cell: for prices, the label does not matter."""
    source = EmbeddedSource(Split.TRAIN)

    def make(rng: np.random.Generator) -> Sample:
        drawn = source.draw(cell.modality, Label.REAL, rng)
        return Sample(drawn.media, cell.label, drawn.provenance)

    return make


def fill(pool: Pool, items: int, clocks: Clocks) -> None:
    """Bring the pool to its plan, timing some puts and listings on the way."""
    producer = Producer(plan_of(items, "prefill"), {cell: crops(cell) for cell in CELLS}, pool)
    for made in range(items):
        producer.step()
        if made % 100 == 0 and sys.stderr.isatty():
            print(f"filling: {made} of {items}", end="\r", file=sys.stderr)
    samples = [crops(CELLS[0])(np.random.default_rng(n)) for n in range(50)]
    for n, sample in enumerate(samples):
        clocks.run("put an image", lambda n=n, sample=sample: pool.put(sample, stream="extra", sequence=n))
    for _ in range(20):
        clocks.run("list all levels", pool.levels)


def challenge(pool: Pool, cell: Cell, hotkeys: list[str], number: int, level: int, clocks: Clocks) -> bool:
    """One challenge as the validator makes it, each part timed; False when the cell was empty."""
    kind = str(cell.modality)
    drawn: Drawn | None = clocks.run(f"{kind}: draw", lambda: pool.take(cell, hotkeys))
    if drawn is None:
        return False
    question = Challenge(str(number), drawn.sample, number, level)
    clocks.run(f"{kind}: augment + encode, level {level}", lambda: variant(question, hotkeys[0]))
    clocks.run("retire", lambda: pool.retire(drawn.item))
    return True


def prices(root: Path, items: int, draws: int, miners: int) -> dict[str, Row]:
    clocks, rng = Clocks(), np.random.default_rng(0)
    with Ledger(root / "ledger.db") as ledger:
        pool = Pool(root / "pool", ledger=ledger)
        fill(pool, items, clocks)
        pool = Pool(root / "pool", ledger=ledger)  # a validator that starts knows nothing of the files
        hotkeys = [f"hotkey-{n}" for n in range(miners)]
        for number in range(draws):
            cell = CELLS[0] if number % 4 else CELLS[1]
            challenge(pool, cell, hotkeys, number, int(rng.integers(4)), clocks)
    return clocks.rows()


def produce(root: Path, items: int) -> None:
    """The second process: real crops and the embedded generators, until it is ended."""
    import threading

    import torch

    import generators

    torch.set_num_threads(1)
    reals = EmbeddedSource(Split.TRAIN)

    def synthetic(cell: Cell) -> Callable[[np.random.Generator], Sample]:
        generator = generators.load(cell.origin, reals=reals)
        return lambda rng: generator.generate(["a photograph"], rng)[0]

    makers = {cell: synthetic(cell) if cell.label is Label.SYNTHETIC else crops(cell) for cell in CELLS}
    producer = Producer(plan_of(items, "sustain"), makers, Pool(root / "pool"))
    print("ready", flush=True)
    producer.run(threading.Event())


def emptiest(pool: Pool, items: int) -> float:
    levels = pool.levels()
    return min(levels.get(target.cell, 0) / target.count for target in plan_of(items, "x").targets)


def sustain(root: Path, items: int, seconds: float, miners: int) -> dict[str, float]:
    """Draw RATE items a second for `seconds` beside the producing process."""
    command = [sys.executable, __file__, "--produce", str(root), "--items", str(items)]
    clocks, rng, late, empty = Clocks(), np.random.default_rng(0), [], 0
    with Ledger(root / "ledger.db") as ledger, subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        pool = Pool(root / "pool", ledger=ledger)
        fill(pool, items, clocks)
        assert process.stdout is not None
        process.stdout.readline()
        start_level, hotkeys = emptiest(pool, items), [f"hotkey-{n}" for n in range(miners)]
        seen: set[str] = set()
        twice, begun, total = 0, time.monotonic(), int(seconds * RATE)
        for number in range(total):
            due = begun + number / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            late.append(1000 * (time.monotonic() - due))
            video, synthetic = rng.random() < 0.05, rng.random() < 0.5
            kinds = [c for c in CELLS if (c.modality is Modality.VIDEO) == video and (c.label == 1) == synthetic]
            drawn = clocks.run("draw", lambda kinds=kinds: pool.take(kinds[int(rng.integers(len(kinds)))], hotkeys))
            if drawn is None:
                empty += 1
                continue
            twice += drawn.item.content in seen
            seen.add(drawn.item.content)
            variant(Challenge(str(number), drawn.sample, number, int(rng.integers(4))), hotkeys[0])
            pool.retire(drawn.item)
        process.terminate()
    row = clocks.rows()["draw"]
    return {
        "draws": total,
        "draws_per_second": total / (time.monotonic() - begun),
        "empty": empty,
        "asked_twice": twice,
        "late_p99_ms": float(np.quantile(late, 0.99)),
        "draw_p50_ms": row["wall_p50"],
        "draw_p99_ms": row["wall_p99"],
        "items_at_end": sum(pool.levels().values()),
        "emptiest_cell_at_start": start_level,
        "emptiest_cell_at_end": emptiest(pool, items),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--hotkeys", type=int, default=50)
    parser.add_argument("--sustain", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--produce", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.produce:
        produce(args.produce, args.items)
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.sustain:
            result: dict[str, Row] = {"sustain": sustain(Path(folder), args.items, args.sustain, args.hotkeys)}
        else:
            result = prices(Path(folder), args.items, args.draws, args.hotkeys)
    if args.json:
        print(json.dumps(result))
        return
    for name, row in result.items():
        print(f"{name:36}", "  ".join(f"{key} {value:.2f}" for key, value in row.items()))


if __name__ == "__main__":
    main()
