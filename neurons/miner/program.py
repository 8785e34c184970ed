"""The miner: serves one detector per modality behind a signed axon.

assay miner --netuid 34 --wallet.name cold --wallet.hotkey hot --detector.image npr
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neurons import settings as s
from neurons.miner.settings import ANY_PORT, DetectorSettings, MinerSettings


def check(*, netuid: int, axon: s.AxonSettings, local: bool, **_: object) -> None:
    """Raises SettingsError for an address that no validator calls."""
    MinerSettings(netuid, axon=axon, local=local).endpoint(axon.port or ANY_PORT)


def miner(
    *,
    netuid: int,
    detector: DetectorSettings = DetectorSettings(),
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    wallet: s.WalletSettings = s.WalletSettings(),
    axon: s.AxonSettings = s.AxonSettings(),
    blacklist: s.BlacklistSettings = s.BlacklistSettings(),
    logging: s.LoggingSettings = s.LoggingSettings(),
    state: Path | None = None,
    local: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Serve detectors to validators, for money.

    Parameters
    ----------
    netuid
        Number of the subnet.
    state
        Folder for what must survive a restart (accepted nonces); by default below $ASSAY_HOME.
    local
        This is a local network: publish a loopback address.
    """
    settings = MinerSettings(netuid, detector, subtensor, wallet, axon, blacklist, state, local)
    import asyncio

    from neurons.log import configure
    from neurons.miner.run import run  # torch and the chain's SDK, which wrong flags need not wait for

    asyncio.run(run(settings, configure(logging, "miner")))
