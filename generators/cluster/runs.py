"""Runs of consecutive items of one cell, and the actor that makes them. Plain Python: no Ray in it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from subnet.codec import image as codec
from subnet.errors import SubnetError
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Fate, Pool
from subnet.media.pool.producer import Event, Make, PoolPlan, flaw, item_rng
from subnet.registry import resolve
from subnet.types import JSON, Sample

_FAULTS = (SubnetError, OSError, RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError)


@dataclass(frozen=True)
class Run:
    """Items `first` to `first + count - 1` of a cell."""

    cell: Cell
    first: int
    count: int


@dataclass(frozen=True)
class Made:
    """What became of one item: an `Event`, or "exists" where it was there before; seconds of work, and why."""

    sequence: int
    event: str
    seconds: float = 0.0
    reason: str = ""


def make_run(shard: Run, plan: PoolPlan, make: Make, pool: Pool) -> list[Made]:
    """Make and store the items of `shard` that the pool lacks. A bad item does not stop the rest; a full disk does."""
    there = {item.sequence for item in pool.items(shard.cell) if item.stream == plan.stream}
    result: list[Made] = []
    for sequence in range(shard.first, shard.first + shard.count):
        begun = time.monotonic()
        event, reason = ("exists", "") if sequence in there else _item(shard.cell, sequence, plan, make, pool)
        result.append(Made(sequence, event, time.monotonic() - begun, reason))
        if event == Event.NO_ROOM:
            break
    return result


def _item(cell: Cell, sequence: int, plan: PoolPlan, make: Make, pool: Pool) -> tuple[str, str]:
    try:
        sample = make(item_rng(plan, cell, sequence))
        if sample.media.frames.shape[1:3] != codec.TARGET_SIZE:
            sample = Sample(codec.normalise(sample.media, None), sample.label, sample.provenance)
        if reason := flaw(sample.media):
            return Event.REJECTED, reason
        stored = pool.put(sample, stream=plan.stream, sequence=sequence, origin=cell.origin)
    except _FAULTS as error:
        return Event.FAILED, f"{type(error).__name__}: {error}"
    if stored.fate in (Fate.OVER_BUDGET, Fate.NO_SPACE):
        return Event.NO_ROOM, stored.reason
    return str(stored.fate), ""


class Actor:
    """What runs in a worker's process: it builds its model once and then makes shards."""

    def __init__(
        self, target: str, arguments: Mapping[str, JSON], plan: PoolPlan, root: str, budget: int, floor: int
    ) -> None:
        self._make: Make = resolve(target)(**arguments)
        self._plan, self._pool = plan, Pool(Path(root), budget=budget, floor=floor)

    def shard(self, shard: Run) -> tuple[int, list[Made]]:
        """Which process did it, and what became of each item."""
        return os.getpid(), make_run(shard, self._plan, self._make, self._pool)
