"""Joining a Ray cluster, or starting one on this machine. Ray itself is the extra `ray`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from generators.cluster.crew import import_ray
from subnet.errors import SettingsError


@contextmanager
def joined(address: str | None) -> Iterator[Mapping[str, float]]:
    """What the cluster at `address`, else $RAY_ADDRESS, else a new one has to offer; it is left at the end.

    Raises SettingsError where Ray is missing or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    ray = import_ray()
    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, object] = {} if address else {"include_dashboard": False}
    try:  # without "local" Ray would wait for the last cluster of this machine, which may be dead
        ray.init(address=address or "local", log_to_driver=False, configure_logging=False, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason: Sequence[str] = str(error).strip().splitlines() or [type(error).__name__]
        raise SettingsError(f"--ray.address {address or 'local'}: {reason[0]}") from error
    try:
        yield ray.cluster_resources()
    finally:
        ray.shutdown()
