"""A producer from its plan to its last item."""

from __future__ import annotations

import json as jsonlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from generators.capability import processors, share_processors
from neurons import settings as s
from neurons.log import Log, Notes
from neurons.plan import plan_of
from neurons.producer.cluster import fill_on_ray
from neurons.producer.makers import Origin, makers, resolve_plan
from neurons.producer.settings import Cluster, Prompts
from neurons.secrets.seed import choose_seed, kept_seed, own_folder
from neurons.signals import set_by_signal
from subnet.errors import GenerationError
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import Event, PoolPlan, Producer, ProducerStep, missing


def run(
    settings: s.ProducerSettings, cluster: Cluster, pool: s.PoolSettings, prompts: Prompts, log: Log, json: bool
) -> None:
    """Fill `pool` until a signal, or with `settings.once` until all targets are met.

    Raises SettingsError for a plan that cannot be made here, GenerationError for targets that could not be met.
    """
    with ExitStack() as stack:
        plan = _plan(settings, stack)
        origins = resolve_plan(plan, settings.split, settings.folder)
        filling = Filling(plan, origins, pool.open(), threading.Event(), log, json)
        counts = _on_cluster(filling, cluster, settings) if settings.ray else _here(filling, settings, prompts)
    totals: Counter[str] = Counter()
    for (_, event), count in counts.items():
        totals[event.value] += count
    log.info("stopped", **totals)


def _plan(settings: s.ProducerSettings, stack: ExitStack) -> PoolPlan:
    """The plan with the seed of the flags, else the plan file's, else the one kept for this producer alone."""

    def draw() -> int:
        return kept_seed(stack.enter_context(own_folder(s.home() / "producer")))

    seed = settings.seed
    if settings.seed_file is not None:
        seed = choose_seed(settings.seed, settings.seed_file, s.home())
    return plan_of(settings.plan, total=settings.total, seed=seed, stream=settings.stream, draw=draw)


@dataclass(frozen=True)
class Filling:
    """A pool that is to be filled by a plan, until `stop` is set."""

    plan: PoolPlan
    origins: Mapping[Cell, Origin]
    pool: Pool
    stop: threading.Event
    log: Log
    json: bool

    def check_targets(self) -> None:
        """Raises GenerationError, naming what lacks, when a target is not met."""
        if lacking := missing(self.plan, self.pool.levels()):
            raise GenerationError(f"--once: {'; '.join(lacking)}; the warnings above say why")


Counts = Mapping[tuple[Cell, Event], int]


def _on_cluster(filling: Filling, cluster: Cluster, settings: s.ProducerSettings) -> Counts:
    reporting = Reporting(filling.log, None, filling.json)
    report = fill_on_ray(filling.plan, filling.origins, filling.pool, cluster, settings, filling.stop, reporting)
    if settings.once and not filling.stop.is_set():
        filling.check_targets()
    return report.events


def _here(filling: Filling, settings: s.ProducerSettings, prompts: Prompts) -> Counts:
    """Work in this process. With `once`, raises GenerationError when targets could not be met."""
    device = s.device(settings.device)
    made_by = makers(
        filling.plan, filling.origins, split=settings.split, device=device, prompts=prompts, tell=filling.log.warning
    )
    worker = Producer(filling.plan, made_by, filling.pool)
    set_by_signal(filling.stop)
    ended = threading.Event()

    def end_when_done() -> None:
        if worker.is_done():
            ended.set()
            filling.stop.set()

    reporting = Reporting(filling.log, end_when_done if settings.once else None, filling.json)
    worker.run(filling.stop, reporting, idle=0.1, threads=_threads(settings.threads, device))
    if ended.is_set():
        filling.check_targets()
    return worker.counts


class Reporting:
    """Reports what each step came to; calls `idle` when there is nothing to do, or no room to do it."""

    def __init__(self, log: Log, idle: Callable[[], None] | None, json: bool) -> None:
        self._log, self._notes, self._idle, self._json = log, Notes(log), idle, json

    def __call__(self, step: ProducerStep) -> None:
        if step.event in (Event.FULL, Event.NO_ROOM) and self._idle:
            self._idle()
        if step.event in (Event.FULL, Event.BUSY, Event.EXISTS):
            return
        if self._json:
            fields = {"event": step.event, "cell": str(step.cell), "sequence": step.sequence, "reason": step.reason}
            print(jsonlib.dumps({**fields, "seconds": round(step.seconds, 4)}), flush=True)
        if step.event is Event.STORED:
            self._notes.mend(Event.NO_ROOM.value)
        elif step.event is Event.NO_ROOM:
            self._notes.tell(step.event.value, "", cell=str(step.cell), reason=step.reason)
        else:
            self._log.warning(step.event.value, cell=str(step.cell), reason=step.reason)


def _threads(wanted: int | None, device: str) -> int:
    """How many origins are worked on side by side; the processors are shared out among them."""
    threads = wanted or (processors() if device == "cpu" else 1)
    share_processors(threads)
    return threads
