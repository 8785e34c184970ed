"""A dishonest miner for the local network: it is asked, it signs, and what it says is out of range."""

from __future__ import annotations

import asyncio

from neurons import settings as s
from neurons.log import configure
from neurons.miner.run import run
from neurons.miner.settings import DetectorSettings, MinerSettings


def rogue(
    *,
    netuid: int,
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    wallet: s.WalletSettings = s.WalletSettings(),
    axon: s.AxonSettings = s.AxonSettings(),
    logging: s.LoggingSettings = s.LoggingSettings(),
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
    detector = DetectorSettings(image="constant", video="constant-video", serving="plain")
    settings = MinerSettings(netuid, detector, subtensor, wallet, axon, local=True)
    asyncio.run(run(settings, log, say=lambda _: number))
