"""What judges for a miner: detectors of its own process, or those that answer on a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from neurons.log import Log
from neurons.miner.loading import Placed
from subnet.types import Modality


@dataclass(frozen=True)
class Judges:
    """The detectors of each modality by their places, and why they cannot answer now, or ""."""

    detectors: Mapping[Modality, Placed]
    unready: Callable[[], str] = lambda: ""


async def remote_judges(stack: AsyncExitStack, address: str, stop: asyncio.Event, log: Log) -> Judges | None:
    """What answers at `--detector.address`, for the time of `stack`; None when `stop` comes first.

    Raises SettingsError where nothing does.
    """
    from neurons.cluster.remote import Replicas

    replicas = stack.enter_context(Replicas(address, log))
    detectors = await replicas.detectors(stop)
    if not detectors:
        return None
    watching = asyncio.create_task(replicas.watch(stop))
    stack.callback(watching.cancel)
    log.info("replicas answer", address=replicas.address, **{str(m): one.name for m, one in detectors.items()})
    lanes = range(1, replicas.lanes + 1)
    return Judges(
        {m: {f"replicas, {m} {lane}": one for lane in lanes} for m, one in detectors.items()}, lambda: replicas.why_not
    )
