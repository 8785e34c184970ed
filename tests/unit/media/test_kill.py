"""kill -9 of a producer at random moments: what is visible is whole, and a restart goes on as if nothing happened."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from subnet.media import upkeep
from subnet.media.item import Cell
from subnet.media.pool import Pool
from subnet.types import Label, Modality

KILLS = 20
CELLS = [Cell(Modality.IMAGE, Label.REAL, "photos"), Cell(Modality.IMAGE, Label.SYNTHETIC, "noise")]
PROGRAM = """
import pathlib, sys, threading
import numpy as np
from subnet.media.item import Cell
from subnet.media.pool import Pool
from subnet.media.production import Plan, Producer, Target
from subnet.types import Label, Media, Modality, Provenance, Sample

def maker(cell):
    def make(rng):
        pixels = rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
        return Sample(Media(pixels), cell.label, Provenance(cell.origin, "noise"))
    return make

cells = [Cell(Modality.IMAGE, Label.REAL, "photos"), Cell(Modality.IMAGE, Label.SYNTHETIC, "noise")]
plan = Plan(tuple(Target(cell, 10**6) for cell in cells), seed=3)
producer = Producer(plan, {cell: maker(cell) for cell in cells}, Pool(pathlib.Path(sys.argv[1]), floor=0))
print("ready", flush=True)
if len(sys.argv) > 2:
    for _ in range(int(sys.argv[2])):
        producer.step()
else:
    producer.run(threading.Event())
"""


def run_and_kill(root: Path, after: float) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(root)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
        process.send_signal(signal.SIGKILL)


def numbered(pool: Pool) -> dict[str, str]:
    return {item.id: item.content for cell in pool.cells() for item in pool.items(cell)}


def test_kill_9_leaves_no_invalid_item(tmp_path: Path) -> None:
    """After each of 20 kills every visible item is whole and none was made twice; at the end the numbers have no gap,
    and each item equals the one of a producer that was never killed.
    """
    moments = random.Random(20)
    pool = Pool(tmp_path / "killed", floor=0)
    for _ in range(KILLS):
        run_and_kill(pool.root, moments.uniform(0.0, 0.15))
        assert upkeep.verify(pool).quarantined == ()
    assert upkeep.verify(pool, decode=True).quarantined == ()
    killed = numbered(pool)
    assert len(killed) >= KILLS
    for cell in CELLS:
        assert [item.sequence for item in pool.items(cell)] == list(range(pool.levels()[cell]))
    whole = Pool(tmp_path / "whole", floor=0)
    subprocess.run([sys.executable, "-c", PROGRAM, str(whole.root), str(len(killed) + 1)], check=True, timeout=120)
    reference = numbered(whole)
    assert len(reference.keys() & killed.keys()) >= len(killed) - 1
    assert all(killed[name] == reference[name] for name in reference.keys() & killed.keys())
