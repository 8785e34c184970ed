"""Runs of consecutive items of one cell, and the actor that makes them. Plain Python: no Ray in it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import Event, Make, PoolPlan, ProducerStep, make_item
from subnet.registry import resolve
from subnet.types import JSON


@dataclass(frozen=True)
class Run:
    """Items `first` to `first + count - 1` of a cell."""

    cell: Cell
    first: int
    count: int


def make_run(run: Run, plan: PoolPlan, make: Make, pool: Pool) -> list[ProducerStep]:
    """Make and store the items of `run` that the pool lacks. A bad item does not stop the rest; a full disk does."""
    stored = {item.sequence for item in pool.items(run.cell) if item.stream == plan.stream}
    result: list[ProducerStep] = []
    for sequence in range(run.first, run.first + run.count):
        begun = time.monotonic()
        event, reason = Event.EXISTS, ""
        if sequence not in stored:
            event, reason = make_item(plan, run.cell, sequence, make, pool)
        result.append(ProducerStep(event, run.cell, sequence, time.monotonic() - begun, reason))
        if event is Event.NO_ROOM:
            break
    return result


class Actor:
    """What runs in a worker's process: it builds its model once and then makes runs of items."""

    def __init__(
        self, target: str, arguments: Mapping[str, JSON], plan: PoolPlan, root: str, budget: int, floor: int
    ) -> None:
        self._make: Make = resolve(target)(**arguments)
        self._plan, self._pool = plan, Pool(Path(root), budget=budget, floor=floor)

    def make(self, run: Run) -> tuple[int, list[ProducerStep]]:
        """Which process did it, and what became of each item."""
        return os.getpid(), make_run(run, self._plan, self._make, self._pool)
