"""A dishonest miner for the local network: it is asked, it signs, and what it says is out of range."""

from __future__ import annotations

import asyncio

from neurons import settings as s
from neurons.log import configure
from neurons.miner import program


def rogue(
    *,
    netuid: int,
    subtensor: s.Subtensor = s.Subtensor(),
    wallet: s.Wallet = s.Wallet(),
    axon: s.Axon = s.Axon(),
    logging: s.Logging = s.Logging(),
    number: float = 1.5,
) -> None:
    """Answer every request with the same number, out of range by default.

    Parameters
    ----------
    netuid
        Number of the subnet.
    number
        What is said for every prediction.
    """
    log = configure(logging, "rogue")
    detectors = program.load_detectors(program.Detectors(image="constant", video="constant-video"))
    arguments = (netuid, detectors, 32, subtensor, wallet, axon, s.Blacklist(), log, None, True)
    asyncio.run(program.run(*arguments, say=lambda _: number))
