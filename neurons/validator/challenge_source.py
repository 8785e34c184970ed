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


def await_media(pool: Pool, plan: RoundPlan, *, patience: float, stopping: Callable[[], bool]) -> None:
    """Wait until the pool has what `plan` asks for, at most `patience` seconds. Runs in a worker thread.

    That is before a round, not in one: a round is played by the metagraph that it began with.
    """
    ends, pause = time.monotonic() + patience, threading.Event()
    while not pool.has(_cell(plan), plan.hotkeys) and time.monotonic() < ends and not stopping():
        pause.wait(0.05)


def draw_challenge(pool: Pool, plan: RoundPlan, *, substitute: bool) -> Drawn:
    """What `plan` asks for, recorded as asked of its hotkeys. Runs in a worker thread, and never waits.

    With `substitute` another origin of the same modality and label where the cell is empty. Raises SourceEmpty when the
    pool has nothing for these hotkeys. In a twin round the original comes with it; where that is not at hand, all are
    asked the synthetic item.
    """
    drawn = pool.take(_cell(plan), plan.hotkeys)
    if drawn is None and substitute:
        drawn = pool.draw(plan.modality, plan.label, plan.hotkeys, round_rng(plan.seed, plan.number))
    if drawn is None:
        raise SourceEmpty(f"the pool has no {_cell(plan)}: is the producer running?")
    return replace(drawn, twin=original_of(drawn.sample)) if plan.real else drawn


def _cell(plan: RoundPlan) -> Cell:
    return Cell(plan.modality, plan.label, plan.origin)
