"""Draws a validator's challenges from the pool: the item of the plan, or another of its kind where there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from subnet.errors import SourceEmpty
from subnet.game.sampling import RoundPlan, round_rng
from subnet.media.embedded.source import original_of
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Drawn, Pool


def draw_challenge(
    pool: Pool, plan: RoundPlan, *, patience: float, substitute: bool, stopping: Callable[[], bool]
) -> Drawn:
    """What `plan` asks for, recorded as asked of its hotkeys. Runs in a worker thread.

    Waits `patience` seconds for a cell that is empty; then, with `substitute`, takes another origin of the same
    modality and label. Raises SourceEmpty when the pool has nothing for these hotkeys, and at once when the
    program is `stopping`. In a twin round the original comes with it; where that is not at hand, all are asked the
    synthetic item.
    """
    cell = Cell(plan.modality, plan.label, plan.origin)
    ends, pause = time.monotonic() + patience, threading.Event()
    drawn = pool.take(cell, plan.hotkeys)
    while drawn is None and time.monotonic() < ends and not stopping():
        pause.wait(0.05)
        drawn = pool.take(cell, plan.hotkeys)
    if drawn is None and substitute:
        drawn = pool.draw(plan.modality, plan.label, plan.hotkeys, round_rng(plan.seed, plan.number))
    if drawn is None:
        raise SourceEmpty(f"the pool has no {cell} after {patience:g} s: is the producer running?")
    return replace(drawn, twin=original_of(drawn.sample)) if plan.real else drawn
