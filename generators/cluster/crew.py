"""The producer's plan on Ray, to outgrow one machine: one actor per model, runs of items, nothing lost or doubled.

Item n of a cell is a function of (seed, stream, cell, n), and putting an item twice changes nothing. So a run whose
worker died is simply handed out again: what was stored stays, what was not is made. A model that fails rests and is
tried again, as in `subnet.media.pool.producer`, and never stops the others. Every host needs the package and the pool's
folder (a shared file system); Ray itself is the extra `ray`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from generators.cluster.runs import Actor, Run
from subnet.errors import SettingsError
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import IS_THERE, Event, PoolPlan, ProducerStep
from subnet.types import JSON

LONGEST_REST = 300.0  # seconds that a failing cell is left alone


@dataclass(frozen=True)
class Worker:
    """One actor: the cell it fills, and "package.module:factory", called with `arguments`, that gives its `Make`.

    `gpus` may be a fraction: two models with 0.5 share a card. List a worker twice to run two of a kind.
    """

    cell: Cell
    target: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True)
class Report:
    """What production came to, by cell, and how many processes had a hand in it (more than workers when some died)."""

    events: Mapping[tuple[Cell, Event], int]
    processes: int


def import_ray() -> Any:
    """The package. Raises SettingsError where it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise SettingsError("Ray is not installed, and this needs it: pip install 'assay-subnet[ray]'") from error
    return ray


def produce(
    plan: PoolPlan,
    workers: Sequence[Worker],
    pool: Pool,
    *,
    stop: threading.Event,
    once: bool = False,
    size: int = 8,
    retries: int = 10,
    idle: float = 0.5,
    on_step: Callable[[ProducerStep], None] = lambda step: None,
) -> Report:
    """Keep `pool` filled on the Ray that the program has joined (`ray.init`) until `stop` is set.

    With `once`, until all targets are met or what is not met fails. When a worker dies, Ray starts it again and hands
    it its run again, up to `retries` times a run. Raises SettingsError when Ray is missing or a cell has no worker.
    """
    ray = import_ray()
    missing = {target.cell for target in plan.targets} - {worker.cell for worker in workers}
    if missing:
        raise SettingsError(f"no worker makes {', '.join(str(cell) for cell in sorted(missing))}")
    crew = _Crew(ray, plan, pool, workers, size, retries, on_step)
    try:
        while not stop.is_set():
            crew.hand_out()
            if crew.running:
                crew.settle(idle)
            elif once:
                break
            else:
                stop.wait(idle)
    finally:
        crew.dismiss()
    return Report(dict(crew.events), len(crew.processes))


class _Crew:
    """The actors and what each is at. Runs of one cell are consecutive and handed out in order."""

    def __init__(
        self,
        ray: Any,
        plan: PoolPlan,
        pool: Pool,
        workers: Sequence[Worker],
        size: int,
        retries: int,
        on_step: Callable[[ProducerStep], None],
    ) -> None:
        self._ray, self._plan, self._pool, self._workers = ray, plan, pool, workers
        self._size, self._retries, self._on_step = size, retries, on_step
        self._targets = {target.cell: target.count for target in plan.targets}
        self._next = {cell: pool.next_sequence(cell, plan.stream) for cell in self._targets}
        self._again: dict[Cell, deque[Run]] = {cell: deque() for cell in self._targets}  # had no room
        self._unfinished: dict[Cell, set[int]] = {cell: set() for cell in self._targets}  # by first item
        self._failures: Counter[Cell] = Counter()  # runs in a row
        self._rests_until: dict[Cell, float] = {}
        self._actors: dict[int, Any] = {}
        self.running: dict[Any, tuple[int, Run]] = {}
        self.events: Counter[tuple[Cell, Event]] = Counter()
        self.processes: set[int] = set()

    def hand_out(self) -> None:
        """Give every idle worker whose cell lacks items, and does not rest, its next run."""
        levels, now = self._pool.levels(), time.monotonic()
        coming: Counter[Cell] = Counter()
        for _, run in self.running.values():
            coming[run.cell] += run.count
        busy = {index for index, _ in self.running.values()}
        for index, worker in enumerate(self._workers):
            cell = worker.cell
            lacks = self._targets.get(cell, 0) - levels.get(cell, 0) - coming[cell]
            if index in busy or lacks <= 0 or self._rests_until.get(cell, 0.0) > now:
                continue
            run = self._again[cell].popleft() if self._again[cell] else self._fresh(cell, min(self._size, lacks))
            coming[cell] += run.count
            self.running[self._actor(index).make.remote(run)] = index, run

    def _fresh(self, cell: Cell, count: int) -> Run:
        run = Run(cell, self._next[cell], count)
        self._next[cell] += count
        self._unfinished[cell].add(run.first)
        return run

    def _actor(self, index: int) -> Any:
        if index not in self._actors:
            worker = self._workers[index]
            options = {"num_cpus": worker.cpus, "num_gpus": worker.gpus, "max_restarts": -1}
            remote = self._ray.remote(Actor).options(**options, max_task_retries=self._retries)
            pool = (str(self._pool.root), self._pool.budget, self._pool.floor)
            self._actors[index] = remote.remote(worker.target, dict(worker.arguments), self._plan, *pool)
        return self._actors[index]

    def settle(self, seconds: float) -> None:
        """Wait at most `seconds` for a run to be done, and take note of what it came to."""
        done, _ = self._ray.wait(list(self.running), num_returns=1, timeout=seconds)
        for reference in done:
            index, run = self.running.pop(reference)
            try:
                process, steps = self._ray.get(reference)
                self.processes.add(process)
            except self._ray.exceptions.RayError as error:
                self._ray.kill(self._actors.pop(index))  # a new one is started for the next run
                lines = [line for line in str(error).strip().splitlines() if line.strip()]
                steps = [
                    ProducerStep(Event.FAILED, run.cell, run.first, 0.0, lines[-1] if lines else type(error).__name__)
                ]
            self._note(run, steps)

    def _note(self, run: Run, steps: Sequence[ProducerStep]) -> None:
        cell, good = run.cell, False
        for step in steps:
            self.events[cell, step.event] += 1
            good = good or step.event in IS_THERE
            if step.event is not Event.EXISTS:
                self._on_step(step)
        self._failures[cell] = 0 if good else self._failures[cell] + 1
        if not good:
            rest = min(LONGEST_REST, 2.0 ** min(self._failures[cell] - 1, 20))
            self._rests_until[cell] = time.monotonic() + rest
        self._unfinished[cell].remove(run.first)
        last = steps[-1]
        if last.event is Event.NO_ROOM:
            left = Run(cell, last.sequence, run.first + run.count - last.sequence)
            self._again[cell].append(left)
            self._unfinished[cell].add(left.first)
        self._advance(cell)

    def _advance(self, cell: Cell) -> None:
        """Note durably how far the cell is made without a gap, where the disk takes it."""
        end = min(self._unfinished[cell], default=self._next[cell])
        with contextlib.suppress(OSError):  # written again after the next run
            self._pool.advance(cell, self._plan.stream, end)

    def dismiss(self) -> None:
        """End all actors."""
        for actor in self._actors.values():
            self._ray.kill(actor)
