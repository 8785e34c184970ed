"""kill -9 of a producer at random moments: what is visible is whole, and a restart goes on as if nothing happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from subnet.media.pool import maintenance
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.types import Label, Modality

KILLS = 20
CELLS = [Cell(Modality.IMAGE, Label.REAL, "photos"), Cell(Modality.IMAGE, Label.SYNTHETIC, "noise")]
PROGRAM = """
import os, pathlib, sys
import numpy as np
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import PoolPlan, Producer, Target
from subnet.types import Label, Media, Modality, Provenance, Sample

def maker(cell):
    def make(rng):
        pixels = rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
        return Sample(Media(pixels), cell.label, Provenance(cell.origin, "noise"))
    return make

cells = [Cell(Modality.IMAGE, Label.REAL, "photos"), Cell(Modality.IMAGE, Label.SYNTHETIC, "noise")]
plan = PoolPlan(tuple(Target(cell, 10**6) for cell in cells), seed=3)
makers = {cell: maker(cell) for cell in cells}

def produce(steps):
    producer = Producer(plan, makers, Pool(pathlib.Path(sys.argv[1]), floor=0))
    while steps is None or steps > 0:
        producer.step()
        steps = None if steps is None else steps - 1

if len(sys.argv) > 2:
    produce(int(sys.argv[2]))
else:
    for line in sys.stdin:  # a line asks for another producer, a process of its own; it is killed from outside
        child = os.fork()
        if child == 0:
            produce(None)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)
"""


def kill_producers(pool: Pool, delays: list[float], after_each: Callable[[], None]) -> None:
    """Start one producer after the other and kill each with SIGKILL, its delay (seconds) after it started; every
    second one that long after its first item, so that a slow machine gets somewhere, too.
    """
    command = [sys.executable, "-c", PROGRAM, str(pool.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, delay in enumerate(delays):
            before = sum(pool.levels().values())
            process.stdin.write("next\n")
            process.stdin.flush()
            producer = int(process.stdout.readline())
            ends = time.monotonic() + 20
            while number % 2 and sum(pool.levels().values()) == before and time.monotonic() < ends:
                time.sleep(0.002)
            time.sleep(delay)
            os.kill(producer, signal.SIGKILL)
            assert process.stdout.readline() == "gone\n"
            after_each()


def numbered(pool: Pool) -> dict[str, str]:
    return {item.id: item.content for cell in pool.cells() for item in pool.items(cell)}


def test_kill_9_leaves_no_invalid_item(tmp_path: Path) -> None:
    """After each of 20 kills every visible item is whole and none was made twice; at the end the numbers have no gap,
    and each item equals the one of a producer that was never killed.
    """
    moments = random.Random(20)
    pool = Pool(tmp_path / "killed", floor=0)

    def all_whole() -> None:
        assert maintenance.verify(pool).quarantined == ()

    kill_producers(pool, [moments.uniform(0.0, 0.1) for _ in range(KILLS)], all_whole)
    assert maintenance.verify(pool, decode=True).quarantined == ()
    killed = numbered(pool)
    assert len(killed) >= KILLS // 2
    for cell in CELLS:
        assert [item.sequence for item in pool.items(cell)] == list(range(pool.levels()[cell]))
    whole = Pool(tmp_path / "whole", floor=0)
    subprocess.run([sys.executable, "-c", PROGRAM, str(whole.root), str(len(killed) + 1)], check=True, timeout=120)
    reference = numbered(whole)
    assert len(reference.keys() & killed.keys()) >= len(killed) - 1
    assert all(killed[name] == reference[name] for name in reference.keys() & killed.keys())
