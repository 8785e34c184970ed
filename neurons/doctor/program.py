"""`assay doctor`: is everything here that a miner or validator needs, and what would mend it."""

from __future__ import annotations

import asyncio
import json as jsonlib
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Annotated

from cyclopts import App, Parameter

from neurons import settings as s
from neurons.doctor import machine
from neurons.doctor.machine import Finding, Health
from neurons.terminal import terminal

CLOCK_URL = "https://huggingface.co"


def doctor(
    *,
    netuid: int | None = None,
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    wallet: s.WalletSettings = s.WalletSettings(),
    axon: s.AxonSettings = s.AxonSettings(),
    pool: s.PoolSettings = s.PoolSettings(),
    app: Annotated[App, Parameter(parse=False)],
    deadline: s.Deadline = 10.0,
    clock_url: str = CLOCK_URL,
    json: s.Json = False,
) -> None:
    """Look at everything that a miner or validator needs; exit status 1 when something fails. Changes nothing.

    Parameters
    ----------
    netuid
        Number of the subnet: with it, wallet, chain and registration must be right, too.
    deadline
        Seconds that the chain has to answer.
    clock_url
        Web server that this machine's clock is compared with.
    """
    console, found = terminal(), []
    here = (machine.variables(app), _here(wallet, axon, pool))
    for finding in chain(*here, _beyond(netuid, subtensor, wallet, axon, deadline, clock_url), _works()):
        found.append(finding)
        if not json:
            console.print(machine.line(finding), highlight=False, soft_wrap=True)
    failed = sum(finding.verdict is Health.FAIL for finding in found)
    if json:
        print(jsonlib.dumps({"ok": not failed, "checks": [finding.facts() for finding in found]}))
    sys.exit(1 if failed else 0)


def _here(wallet: s.WalletSettings, axon: s.AxonSettings, pool: s.PoolSettings) -> Iterator[Finding]:
    """This machine: one finding after another, the quick ones first."""
    from neurons.doctor import folders, network, standing

    yield from machine.python()
    yield from machine.packages()
    yield from machine.machine()
    yield from machine.disk(s.home())
    yield from standing.journals(s.home())
    yield from folders.databases(s.home())
    yield from folders.secrets(s.home(), wallet)
    yield from folders.pool(pool)
    yield from network.port(axon)


def _beyond(
    netuid: int | None,
    subtensor: s.SubtensorSettings,
    wallet: s.WalletSettings,
    axon: s.AxonSettings,
    deadline: float,
    clock_url: str,
) -> Iterator[Finding]:
    """What others see of it: the address, the keys, the clock, the chain."""
    from neurons.doctor import network

    yield from network.address(axon, subtensor)
    opened, finding = network.keys(wallet, needed=netuid is not None)
    yield finding
    yield from network.clock(clock_url)
    yield from asyncio.run(network.chain(subtensor, netuid, wallet, opened, deadline))
    yield from asyncio.run(network.spares(subtensor, netuid, deadline))


def _works() -> Iterator[Finding]:
    """Whether media and models work here."""
    from neurons.doctor import media

    yield from machine.graphics()
    yield from media.embedded_set()
    yield from media.detectors()
    yield from media.generators()
    yield from media.video()
    yield from media.judging()
