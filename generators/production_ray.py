"""The producer's plan on Ray, to outgrow one machine: one actor per model, shards of items, nothing lost or doubled.

Item n of a cell is a function of (seed, stream, cell, n), and putting an item twice changes nothing. So a shard whose
worker died is simply handed out again: what was stored stays, what was not is made. Every host needs the package and
the pool's folder (a shared file system); Ray itself is the extra `ray`.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from subnet.errors import GenerationError, SettingsError, SubnetError
from subnet.media.item import Cell
from subnet.media.pool import Fate, Pool
from subnet.media.production import Make, Plan, flaw, item_rng
from subnet.registry import resolve
from subnet.types import JSON, Sample, Split

_FAULTS = (SubnetError, OSError, RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError)


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
class Shard:
    """Items `first` to `first + count - 1` of a cell."""

    cell: Cell
    first: int
    count: int


@dataclass(frozen=True)
class Report:
    """What a round came to, by cell, and how many processes had a hand in it (more than workers when some died)."""

    events: Mapping[tuple[Cell, str], int]
    processes: int

    def total(self, event: str) -> int:
        """Items of all cells with "stored", "exists", "rejected", "failed" or "no_room"."""
        return sum(count for (_, name), count in self.events.items() if name == event)


def shards(plan: Plan, pool: Pool, size: int) -> list[Shard]:
    """What is missing from the pool, cut into pieces of at most `size`, cells taking turns."""
    levels = pool.levels()
    queues = []
    for target in plan.targets:
        first = pool.next_sequence(target.cell, plan.stream)
        end = first + max(0, target.count - levels.get(target.cell, 0))
        queues.append(deque(Shard(target.cell, at, min(size, end - at)) for at in range(first, end, size)))
    result = []
    while any(queues):
        result += [queue.popleft() for queue in queues if queue]
    return result


def make_shard(shard: Shard, plan: Plan, make: Make, pool: Pool) -> Counter[str]:
    """Make and store the items of `shard` that the pool lacks. One bad item does not stop the others."""
    there = {item.sequence for item in pool.items(shard.cell) if item.stream == plan.stream}
    events: Counter[str] = Counter()
    for sequence in range(shard.first, shard.first + shard.count):
        if sequence in there:
            events["exists"] += 1
            continue
        try:
            sample = make(item_rng(plan, shard.cell, sequence))
            if flaw(sample.media):
                events["rejected"] += 1
                continue
            fate = pool.put(sample, stream=plan.stream, sequence=sequence, origin=shard.cell.origin).fate
        except _FAULTS:
            events["failed"] += 1
            continue
        events["no_room" if fate in (Fate.OVER_BUDGET, Fate.NO_SPACE) else str(fate)] += 1
    return events


def generating(name: str, device: str = "cpu", split: str = "train") -> Make:
    """A `Worker.target` for a row of the table of generators: offline prompts, real media from the embedded set."""
    import generators
    from generators.prompts.offline import prompt
    from subnet.media.folder import EmbeddedSource

    generator = generators.load(name, device=device, reals=EmbeddedSource(Split(split)))

    def make(rng: np.random.Generator) -> Sample:
        return generator.generate([prompt(rng, generator.modality)], rng)[0]

    return make


class Actor:
    """What runs in a Ray worker: it builds its model once and then makes shards. Plain Python, no Ray in it."""

    def __init__(self, target: str, arguments: Mapping[str, JSON], plan: Plan, root: str) -> None:
        self._make: Make = resolve(target)(**arguments)
        self._plan, self._pool = plan, Pool(Path(root))

    def shard(self, shard: Shard) -> tuple[int, dict[str, int]]:
        """Which process did it, and what it came to."""
        return os.getpid(), dict(make_shard(shard, self._plan, self._make, self._pool))


def fill(
    plan: Plan,
    workers: Sequence[Worker],
    root: Path,
    *,
    size: int = 8,
    retries: int = 10,
    on_shard: Callable[[Shard, Mapping[str, int]], None] = lambda shard, events: None,
) -> Report:
    """Fill the pool at `root` once, on the Ray that the program has joined (`ray.init`).

    When a worker dies, Ray starts it again and hands it its shard again, up to `retries` times a shard. Raises
    SettingsError when Ray is missing or a cell has no worker, GenerationError when the retries are used up or a worker
    cannot be built.
    """
    try:
        import ray
    except ImportError as error:
        raise SettingsError("production on Ray needs the extra: pip install 'assay-subnet[ray]'") from error
    pool = Pool(root)
    missing = {target.cell for target in plan.targets} - {worker.cell for worker in workers}
    if missing:
        raise SettingsError(f"no worker makes {', '.join(str(cell) for cell in sorted(missing))}")
    remote = ray.remote(Actor)
    actors = [
        remote.options(num_cpus=worker.cpus, num_gpus=worker.gpus, max_restarts=-1, max_task_retries=retries).remote(
            worker.target, dict(worker.arguments), plan, str(root)
        )
        for worker in workers
    ]
    try:
        return _Round(ray, plan, pool, workers, actors, on_shard).run(shards(plan, pool, size))
    finally:
        for actor in actors:
            ray.kill(actor)


class _Round:
    """Hands shards to idle actors until all are done."""

    def __init__(
        self,
        ray: Any,
        plan: Plan,
        pool: Pool,
        workers: Sequence[Worker],
        actors: Sequence[Any],
        on_shard: Callable[[Shard, Mapping[str, int]], None],
    ) -> None:
        self._ray, self._plan, self._pool = ray, plan, pool
        self._workers, self._actors, self._on_shard = workers, actors, on_shard
        self._queues: dict[Cell, deque[Shard]] = {worker.cell: deque() for worker in workers}
        self._running: dict[Any, tuple[int, Shard]] = {}
        self._events: Counter[tuple[Cell, str]] = Counter()
        self._processes: set[int] = set()

    def run(self, pieces: Sequence[Shard]) -> Report:
        for piece in pieces:
            self._queues[piece.cell].append(piece)
        for index in range(len(self._actors)):
            self._hand_out(index)
        while self._running:
            done, _ = self._ray.wait(list(self._running), num_returns=1)
            index, shard = self._running.pop(done[0])
            self._settle(done[0], shard)
            self._hand_out(index)
        for cell, end in self._ends(pieces).items():
            self._pool.advance(cell, self._plan.stream, end)
        return Report(dict(self._events), len(self._processes))

    def _hand_out(self, index: int) -> None:
        queue = self._queues[self._workers[index].cell]
        if queue:
            shard = queue.popleft()
            self._running[self._actors[index].shard.remote(shard)] = index, shard

    def _settle(self, reference: Any, shard: Shard) -> None:
        try:
            process, events = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise GenerationError(f"the worker of {shard.cell} cannot go on: {error}") from error
        self._processes.add(process)
        for name, count in events.items():
            self._events[shard.cell, name] += count
        self._on_shard(shard, events)

    @staticmethod
    def _ends(pieces: Sequence[Shard]) -> dict[Cell, int]:
        return {piece.cell: piece.first + piece.count for piece in sorted(pieces, key=lambda piece: piece.first)}
