"""Joining a Ray cluster, or starting one on this machine, and a job's share of it. Ray itself is the extra `ray`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cyclopts import Parameter

from subnet.errors import SettingsError

LOCAL = "local"


@Parameter(name="ray")
@dataclass(frozen=True)
class JobSettings:
    """A Ray cluster that does the work: any processor reads and decodes, networks have processes of their own."""

    address: str | None = None
    """A Ray cluster to work on: auto, HOST:PORT, or local, started here. Every host sees the same files."""
    replicas: int = 1
    """Processes with the network in them, spread over the hosts."""
    cpus: float = 1.0
    """Processors that one of them takes."""
    gpus: float = 0.0
    """Cards that one of them takes; 0.5 shares one."""

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise SettingsError(f"--ray.replicas must be at least 1, not {self.replicas}")
        for name in ("cpus", "gpus"):
            if not 0 <= getattr(self, name) < 1e6:
                raise SettingsError(f"--ray.{name} must be from 0 on, not {getattr(self, name)}")


JOB = JobSettings()


@contextmanager
def joined_for(job: JobSettings, spare: float) -> Iterator[None]:
    """Inside, the cluster of `job` is joined. Raises SettingsError, also where it lacks room for the job.

    `spare` processors beside the replicas' are needed for anything to be prepared at all.
    """
    with joined(job.address) as resources:
        for kind, each, more in (("CPU", job.cpus, spare), ("GPU", job.gpus, 0.0)):
            there, needed = resources.get(kind, 0.0), job.replicas * each + more
            if needed > there:
                raise SettingsError(
                    f"--ray.replicas {job.replicas}: {needed:g} {kind}s are needed and the cluster has {there:g}: take "
                    f"fewer, or less for each with --ray.{kind.lower()}s"
                )
        yield


@contextmanager
def joined(address: str | None) -> Iterator[Mapping[str, float]]:
    """What the cluster at `address`, else $RAY_ADDRESS, else a new one has to offer; it is left at the end.

    Raises SettingsError where Ray is missing or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    from generators.cluster.crew import import_ray

    ray = import_ray()
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL  # else Ray would wait for the last one, perhaps dead
    options: dict[str, object] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason: Sequence[str] = str(error).strip().splitlines() or [type(error).__name__]
        raise SettingsError(f"--ray.address {address}: {reason[0]}") from error
    try:
        yield ray.cluster_resources()
    finally:
        ray.shutdown()
