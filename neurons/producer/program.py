"""The producer: keeps the pool of ready media filled, so that validators never wait for a generator.

assay producer --pool.path pool --plan plan.toml
"""

from __future__ import annotations

import json as jsonlib
import threading
from collections import Counter
from collections.abc import Mapping

from generators.capability import processors, share_processors
from neurons import settings as s
from neurons.log import Log, configure
from neurons.plan import plan_of
from neurons.producer.cluster import Cluster, fill_on_ray
from neurons.producer.makers import makers, resolve_plan
from neurons.producer.prompting import Prompts
from neurons.secret_seed import read_seed
from neurons.signals import set_by_signal
from subnet.errors import SettingsError
from subnet.media.pool.item import Cell
from subnet.media.pool.producer import Event, Producer, ProducerStep


def producer(
    *,
    settings: s.ProducerSettings = s.ProducerSettings(),
    cluster: Cluster | None = None,
    pool: s.PoolSettings = s.PoolSettings(),
    prompts: Prompts | None = None,
    logging: s.LoggingSettings = s.LoggingSettings(),
    json: s.Json = False,
) -> None:
    """Fill the pool with real and synthetic media, for ever."""
    log = configure(logging, "producer")
    if settings.ray and prompts is not None:
        raise SettingsError("--prompts.captioner does not go with --ray: every worker would load the models anew")
    if cluster is not None and not settings.ray:
        raise SettingsError("--ray.address and --ray.card_gigabytes say where --ray works: add --ray")
    seed = settings.seed if settings.seed_file is None else read_seed(settings.seed_file)
    plan = plan_of(settings.plan, total=settings.total, seed=seed, stream=settings.stream)
    origins = resolve_plan(plan, settings.split, settings.folder)
    stop = threading.Event()
    counts: Mapping[tuple[Cell, Event], int]
    if settings.ray:
        report = fill_on_ray(
            plan, origins, pool.open(), cluster or Cluster(), settings, stop, Reporting(log, None, json)
        )
        counts = report.events
    else:
        device = s.device(settings.device)
        made_by = makers(plan, origins, split=settings.split, device=device, prompts=prompts or Prompts())
        worker = Producer(plan, made_by, pool.open())
        set_by_signal(stop)
        reporting = Reporting(log, stop if settings.once else None, json)
        worker.run(stop, reporting, idle=0.1, threads=_threads(settings.threads, device))
        counts = worker.counts
    totals: Counter[str] = Counter()
    for (_, event), count in counts.items():
        totals[event.value] += count
    log.info("stopped", **totals)


class Reporting:
    """Reports what each step came to; sets `full` when there is nothing left to do."""

    def __init__(self, log: Log, full: threading.Event | None, json: bool) -> None:
        self._log, self._full, self._json = log, full, json

    def __call__(self, step: ProducerStep) -> None:
        if step.event is Event.FULL and self._full:
            self._full.set()
        if step.event in (Event.FULL, Event.BUSY, Event.EXISTS):
            return
        if self._json:
            fields = {"event": step.event, "cell": str(step.cell), "sequence": step.sequence, "reason": step.reason}
            print(jsonlib.dumps({**fields, "seconds": round(step.seconds, 4)}), flush=True)
        if step.event is not Event.STORED:
            self._log.warning(step.event.value, cell=str(step.cell), reason=step.reason)


def _threads(wanted: int | None, device: str) -> int:
    """How many origins are worked on side by side; the processors are shared out among them."""
    threads = wanted or (processors() if device == "cpu" else 1)
    share_processors(threads)
    return threads
