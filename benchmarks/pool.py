"""What one challenge costs before it leaves: draw from the pool, augment, encode, retire.

    python -m benchmarks.pool [--items 2000] [--draws 400] [--hotkeys 50] [--sustain SECONDS] [--json]

A pool of `items` by the plan that `assay producer` has without a file (half synthetic, 95 % images, 5 % clips of 16
frames, 256x256) is filled with cuts of the embedded photos by the producer's own loop; then challenges are drawn for
`hotkeys` miners with a ledger on disk, and each is made into one variant, as the validator does. Milliseconds on the
wall clock and of CPU time in this thread, so that a busy machine can be told from slow code. `list` is the price of
reading the whole pool's levels, `put` of one item stored with fsync.

With `--sustain` the program `assay producer` refills the same pool with the embedded set and all embedded generators
while this process draws 10 items a second in the plan's own proportions, and makes a variant of each. It reports draws
that found their cell empty, items that any hotkey was asked twice, what was produced a second, the level of the
emptiest cell relative to the plan (at the start, the lowest seen, at the end), how late draws were, and how many
processors each side kept busy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import psutil

from neurons.plan import plan_of
from subnet.game.variant import variant
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.pool.item import Cell
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import Drawn, Pool
from subnet.media.pool.producer import PoolPlan, Producer
from subnet.types import Challenge, Label, Modality, Sample, Split

REAL_IMAGE, REAL_VIDEO = (Cell(modality, Label.REAL, "embedded") for modality in Modality)
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


def crops(cell: Cell) -> Callable[[np.random.Generator], Sample]:
    """Cuts of the embedded photos and clips, whatever the cell: for prices, the label does not matter."""
    source = EmbeddedSource(Split.TRAIN)

    def make(rng: np.random.Generator) -> Sample:
        drawn = source.draw(cell.modality, Label.REAL, rng)
        return Sample(drawn.media, cell.label, drawn.provenance)

    return make


def fill(pool: Pool, items: int) -> None:
    """Bring the pool to its plan."""
    plan = plan_of(None, total=items, seed=1, stream="prefill")
    producer = Producer(plan, {target.cell: crops(target.cell) for target in plan.targets}, pool)
    wanted = sum(target.count for target in plan.targets)
    for made in range(wanted):
        producer.step()
        if made % 100 == 0 and sys.stderr.isatty():
            print(f"filling: {made} of {wanted}", end="\r", file=sys.stderr)


def writing(pool: Pool, clocks: Clocks) -> None:
    """Time some puts and listings of a pool that is full."""
    for n in range(50):
        sample = crops(REAL_IMAGE)(np.random.default_rng(n))
        clocks.run("put an image", partial(pool.put, sample, stream="extra", sequence=n))
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
        fill(pool, items)
        writing(pool, clocks)
        pool = Pool(root / "pool", ledger=ledger)  # a validator that starts knows nothing of the files
        hotkeys = [f"hotkey-{n}" for n in range(miners)]
        for number in range(draws):
            cell = REAL_IMAGE if number % 4 else REAL_VIDEO
            challenge(pool, cell, hotkeys, number, int(rng.integers(4)), clocks)
    return clocks.rows()


class Producing:
    """`assay producer` on the pool, and the items it says it has stored, by cell."""

    def __init__(self, root: Path, items: int) -> None:
        words = ["producer", "--pool.path", root, "--total", items, "--seed", 1, "--json"]
        command = [sys.executable, "-m", "neurons", *map(str, words)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._watched = psutil.Process(self._process.pid)
        self.stored: Counter[str] = Counter()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            step = json.loads(line)
            self.stored[step["cell"]] += step["event"] == "stored"

    def wait_for(self, cells: set[str], seconds: float) -> None:
        """Wait until every one of `cells` was made once. Raises TimeoutError."""
        ends = time.monotonic() + seconds
        while cells - set(+self.stored):
            if self._process.poll() is not None or time.monotonic() > ends:
                raise TimeoutError(f"the producer has made none of {', '.join(sorted(cells - set(+self.stored)))}")
            time.sleep(0.05)

    def cpu(self) -> float:
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(60)


def emptiest(pool: Pool, plan: PoolPlan) -> float:
    levels = pool.levels()
    return min(levels.get(target.cell, 0) / target.count for target in plan.targets)


def warm(pool: Pool, plan: PoolPlan, producing: Producing) -> None:
    """Take two items of every cell away and wait until each is made again: now all models are loaded."""
    for target in plan.targets:
        for item in pool.items(target.cell)[-2:]:
            pool.retire(item)
    producing.wait_for({str(target.cell) for target in plan.targets}, 180.0)


def sustain(root: Path, items: int, seconds: float, miners: int) -> Row:
    """Draw RATE items a second for `seconds` beside `assay producer`."""
    plan = plan_of(None, total=items)
    with Ledger(root / "ledger.db") as ledger:
        pool = Pool(root / "pool", ledger=ledger)
        fill(pool, items)
        producing = Producing(root / "pool", items)
        try:
            warm(pool, plan, producing)
            return _drawn_beside(producing, pool, plan, int(seconds * RATE), [f"hotkey-{n}" for n in range(miners)])
        finally:
            producing.end()


def _drawn_beside(producing: Producing, pool: Pool, plan: PoolPlan, total: int, hotkeys: list[str]) -> Row:
    clocks, rng, late, empty, twice = Clocks(), np.random.default_rng(0), [], 0, 0
    cells = [target.cell for target in plan.targets]
    odds = np.array([target.count for target in plan.targets]) / sum(target.count for target in plan.targets)
    seen: set[str] = set()
    levels = [emptiest(pool, plan)]
    made, theirs, ours, begun = producing.stored.total(), producing.cpu(), time.process_time(), time.monotonic()
    for number in range(total):
        due = begun + number / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(1000 * (time.monotonic() - due))
        cell = cells[int(rng.choice(len(cells), p=odds))]
        drawn = clocks.run("draw", partial(pool.take, cell, hotkeys))
        if number % RATE == 0:
            levels.append(emptiest(pool, plan))
        if drawn is None:
            empty += 1
            continue
        twice += drawn.item.content in seen
        seen.add(drawn.item.content)
        variant(Challenge(str(number), drawn.sample, number, int(rng.integers(4))), hotkeys[0])
        pool.retire(drawn.item)
    took, made = time.monotonic() - begun, producing.stored.total() - made
    theirs, ours, row = producing.cpu() - theirs, time.process_time() - ours, clocks.rows()["draw"]
    levels.append(emptiest(pool, plan))
    return {
        "draws": total,
        "draws_per_second": total / took,
        "produced_per_second": made / took,
        "empty_draws": empty,
        "asked_twice": twice,
        "items_wanted": sum(target.count for target in plan.targets),
        "items_at_end": sum(pool.levels().get(cell, 0) for cell in cells),
        "emptiest_cell_at_start": levels[0],
        "emptiest_cell_lowest": min(levels),
        "emptiest_cell_at_end": levels[-1],
        "late_p99_ms": float(np.quantile(late, 0.99)),
        "draw_p50_ms": row["wall_p50"],
        "draw_p99_ms": row["wall_p99"],
        "producer_cpu_seconds_per_item": theirs / max(1, made),
        "producer_cores": theirs / took,
        "validator_cores": ours / took,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--hotkeys", type=int, default=50)
    parser.add_argument("--sustain", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
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
