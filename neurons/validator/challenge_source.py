"""Draws a validator's challenges from the pool, and retires what was used."""

from __future__ import annotations

import threading
import time

from subnet.errors import SourceEmpty
from subnet.game.sampling import RoundPlan, round_rng
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Drawn, Pool
from subnet.types import Sample


class Drawing:
    """Called with a plan, gives its sample. Waits `patience` seconds for a cell that is empty; then, with
    `substitute`, takes another origin of the same modality and label. Runs in a worker thread."""

    def __init__(self, pool: Pool, *, patience: float, substitute: bool) -> None:
        self._pool, self._patience, self._substitute = pool, patience, substitute
        self._drawn: Drawn | None = None

    def __call__(self, plan: RoundPlan) -> Sample:
        """Raises SourceEmpty when the pool has nothing for these hotkeys."""
        cell = Cell(plan.modality, plan.label, plan.origin)
        ends, pause = time.monotonic() + self._patience, threading.Event()
        self._drawn = self._pool.take(cell, plan.hotkeys)
        while self._drawn is None and time.monotonic() < ends:
            pause.wait(0.05)
            self._drawn = self._pool.take(cell, plan.hotkeys)
        if self._drawn is None and self._substitute:
            self._drawn = self._pool.draw(plan.modality, plan.label, plan.hotkeys, round_rng(plan.seed, plan.number))
        if self._drawn is None:
            raise SourceEmpty(f"the pool has no {cell} after {self._patience:g} s: is the producer running?")
        return self._drawn.sample

    def retire(self) -> None:
        """Delete what was drawn last: an item is asked in one round only."""
        if self._drawn is not None:
            self._pool.retire(self._drawn.item)
            self._drawn = None
