"""The validator: samples, asks, scores, and sets weights, for weeks and unattended.

    assay validator --netuid 34 --wallet.name cold --wallet.hotkey hot --pool.path pool

The game itself is `subnet.game.step`; this program gives it a chain, a pool, a transport and a journal, and survives
what they do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neurons import settings as s
from neurons.secrets.seed import given_seed
from subnet.errors import SettingsError


def check(*, neuron: s.NeuronSettings, local: bool, seed: int | None, seed_file: Path | None, **_: object) -> None:
    """Raises SettingsError for flags that are for local networks on a real one, and for a seed that is none, or two."""
    given_seed(seed, seed_file)
    if neuron.seal_round is not None and not local:
        raise SettingsError("--neuron.seal_round hides weights from nobody: it is for --local alone; leave it out")
    if neuron.await_miners and not local:
        raise SettingsError("--neuron.await_miners would wait for ever on a real network: it is for --local alone")


def validator(
    *,
    netuid: int,
    neuron: s.NeuronSettings = s.NeuronSettings(),
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    wallet: s.WalletSettings = s.WalletSettings(),
    pool: s.PoolSettings = s.PoolSettings(),
    logging: s.LoggingSettings = s.LoggingSettings(),
    wandb: s.WandbSettings = s.WandbSettings(),
    plan: Path | None = None,
    state: Path | None = None,
    segments: Path | None = None,
    seed_file: Path | None = None,
    seed: int | None = None,
    rounds: int | None = None,
    metrics_port: int | None = None,
    gallery: Path | None = None,
    local: Annotated[bool, Parameter(negative="")] = False,
    json: s.Json = False,
) -> None:
    """Challenge miners, score them, and set weights.

    Parameters
    ----------
    netuid
        Number of the subnet.
    plan
        TOML file with the mix of origins; the producer's.
    state
        Folder of the journal and everything else that must survive; by default below $ASSAY_HOME.
    segments
        Folder for finished, compressed parts of the journal; by default in the state folder.
    seed_file
        File with the secret number that all challenges follow from; by default drawn once and kept in the state folder.
    seed
        The secret itself; every user of the machine sees it in `ps`, so for tests only.
    rounds
        Stop after so many more rounds, with final weights; by default never.
    metrics_port
        Serve Prometheus metrics on this port of 127.0.0.1.
    gallery
        Folder for thumbnails of the first challenges.
    local
        This is a local network: call loopback addresses, and wait for the producer rather than ask for something else.
    """
    from neurons.plan import origins_of, plan_of  # with the codecs, which wrong flags need not wait for
    from neurons.validator.settings import ValidatorSettings
    from subnet.game.sampling import Sampling

    mix = plan_of(plan)
    sampling = Sampling(
        sample_size=neuron.sample_size,
        origins=origins_of(mix),
        twin_share=neuron.twin_share,
        public=tuple(sorted(map(str, mix.public))),
    )
    settings = ValidatorSettings(
        netuid, sampling, neuron, subtensor, wallet, pool, state, seed, rounds, local, seed_file, segments
    )
    import asyncio

    from neurons.log import configure
    from neurons.validator.run import run  # and the chain's SDK
    from neurons.validator.telemetry import Telemetry

    log = configure(logging, "validator")
    asyncio.run(run(settings, Telemetry(json, metrics_port, gallery, log, wandb), log))
