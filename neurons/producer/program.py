"""The producer: keeps the pool of ready media filled, so that validators never wait for a generator.

assay producer --pool.path pool --plan plan.toml
"""

from __future__ import annotations

import json as jsonlib
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from generators.capability import processors, share_processors
from neurons import settings as s
from neurons.log import Log, configure
from neurons.producer.cluster import Cluster, run
from neurons.producer.makers import makers, plan_of
from neurons.producer.prompting import Prompts
from neurons.signals import set_by_signal
from subnet.errors import SettingsError
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import GIGABYTE, Pool
from subnet.media.pool.producer import Event, Producer, ProducerStep
from subnet.types import Split


@Parameter(name="pool")
@dataclass(frozen=True)
class PoolSettings:
    """Where ready media lies, and how much of the disk it may take."""

    path: Path | None = None
    """Folder of the pool; by default below $ASSAY_HOME."""
    gigabytes: float = 20.0
    """Most that the pool may hold."""
    floor_gigabytes: float = 1.0
    """Free space that is always left on the disk."""

    def open(self, **options: object) -> Pool:
        """The pool these settings name."""
        budget, floor = int(self.gigabytes * GIGABYTE), int(self.floor_gigabytes * GIGABYTE)
        return Pool(self.path or s.home() / "pool", budget=budget, floor=floor, **options)  # type: ignore[arg-type]


def producer(
    *,
    plan: Path | None = None,
    total: int = 2000,
    seed: int = 0,
    stream: str = "main",
    split: Split = Split.TRAIN,
    folder: dict[str, Path] | None = None,
    device: str = "auto",
    once: Annotated[bool, Parameter(negative="")] = False,
    threads: int | None = None,
    ray: Annotated[bool, Parameter(negative="")] = False,
    cluster: Cluster | None = None,
    pool: PoolSettings = PoolSettings(),
    prompts: Prompts | None = None,
    logging: s.LoggingSettings = s.LoggingSettings(),
    json: s.Json = False,
) -> None:
    """Fill the pool with real and synthetic media, for ever.

    Parameters
    ----------
    plan
        TOML file: what to make in which shares. Without one: the embedded set and the embedded generators.
    total
        Items to keep ready, when there is no plan.
    seed
        Same seed, stream and plan: same items.
    stream
        Name of this producer in the pool; no two producers of one pool may share it.
    split
        Which part of the embedded set real media and reconstructions are taken from.
    folder
        A folder of real media under a name that the plan uses: --folder.holiday ~/photos.
    device
        auto, cpu, cuda or cuda:N.
    once
        Stop when all targets are met.
    threads
        Origins that are worked on side by side; by default one for each processor, and one where there is a GPU.
    ray
        Work on a Ray cluster, one worker for each origin of the plan: pip install 'assay-subnet[ray]'.
    """
    log = configure(logging, "producer")
    what = plan_of(plan, total=total, seed=seed, stream=stream)
    stop, folders = threading.Event(), folder or {}
    if ray and prompts is not None:
        raise SettingsError("--prompts.captioner does not go with --ray: every worker would load the models anew")
    if ray:
        told = Reporting(log, None, json)
        report = run(
            what,
            pool.open(),
            cluster or Cluster(),
            split=split,
            device=device,
            folders=folders,
            stop=stop,
            once=once,
            on_step=told,
        )
        counts: Mapping[tuple[Cell, str], int] = report.events
    elif cluster is not None:
        raise SettingsError("--ray.address and --ray.card_gigabytes say where --ray works: add --ray")
    else:
        device = s.device(device)
        making = makers(what, split=split, device=device, folders=folders, prompts=prompts or Prompts())
        worker = Producer(what, making, pool.open())
        set_by_signal(stop)
        worker.run(stop, Reporting(log, stop if once else None, json), idle=0.1, threads=_threads(threads, device))
        counts = {(cell, event.value): count for (cell, event), count in worker.counts.items()}
    totals: Counter[str] = Counter()
    for (_, event), count in counts.items():
        totals[event] += count
    log.info("stopped", **totals)


class Reporting:
    """Tells what each step came to; sets `full` when there is nothing left to do."""

    def __init__(self, log: Log, full: threading.Event | None, json: bool) -> None:
        self._log, self._full, self._json = log, full, json

    def __call__(self, step: ProducerStep) -> None:
        if step.event is Event.FULL and self._full:
            self._full.set()
        if step.event in (Event.FULL, Event.BUSY):
            return
        if self._json:
            fields = {"event": step.event, "cell": str(step.cell), "sequence": step.sequence, "reason": step.reason}
            print(jsonlib.dumps({**fields, "seconds": round(step.seconds, 4)}), flush=True)
        if step.event is not Event.STORED:
            self._log.warning(step.event.value, cell=str(step.cell), reason=step.reason)


def _threads(wanted: int | None, device: str) -> int:
    """How many origins are worked on side by side; the processors are shared out among them."""
    if wanted is not None and wanted < 1:
        raise SettingsError(f"--threads must be at least 1, not {wanted}")
    threads = wanted or (processors() if device == "cpu" else 1)
    share_processors(threads)
    return threads
