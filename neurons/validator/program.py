"""The validator: samples, asks, scores, and sets weights, for weeks and unattended.

    assay validator --netuid 34 --wallet.name cold --wallet.hotkey hot --pool.path pool

The game itself is `subnet.game.step`; this program gives it a chain, a pool, a transport and a journal, and survives
what they do.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neurons import settings as s
from neurons.chain_view import ChainView, first_snapshot
from neurons.log import Log, configure
from neurons.producer.makers import origins_of, plan_of
from neurons.producer.program import PoolSettings
from neurons.secret_seed import kept_seed
from neurons.signals import until_signal
from neurons.validator.challenge_source import draw_challenge
from neurons.validator.loop import Partners, ValidatorLoop
from neurons.validator.settings import ValidatorSettings
from neurons.validator.telemetry import Telemetry
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.bittensor import BittensorChain, open_wallet
from subnet.errors import SettingsError
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from subnet.game.sampling import Sampling
from subnet.media.pool.ledger import Ledger
from subnet.types import Snapshot
from subnet.wire.dendrite import Dendrite


def validator(
    *,
    netuid: int,
    neuron: s.NeuronSettings = s.NeuronSettings(),
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    wallet: s.WalletSettings = s.WalletSettings(),
    pool: PoolSettings = PoolSettings(),
    logging: s.LoggingSettings = s.LoggingSettings(),
    plan: Path | None = None,
    state: Path | None = None,
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
    seed
        Secret that all challenges follow from; by default drawn once and kept in the state folder.
    rounds
        Stop after so many rounds, with final weights; by default never.
    metrics_port
        Serve Prometheus metrics on this port of 127.0.0.1.
    gallery
        Folder for thumbnails of the first challenges.
    local
        This is a local network: call loopback addresses, and wait for the producer rather than ask for something else.
    """
    log = configure(logging, "validator")
    sampling = Sampling(sample_size=neuron.sample_size, origins=origins_of(plan_of(plan)))
    settings = ValidatorSettings(netuid, sampling, neuron, subtensor, wallet, pool, state, seed, rounds, local)
    asyncio.run(_main(settings, Telemetry(json, metrics_port, gallery, log), log))


async def _main(settings: ValidatorSettings, telemetry: Telemetry, log: Log) -> None:
    keys = open_wallet(settings.wallet.name, settings.wallet.hotkey, str(settings.wallet.path.expanduser()))
    hotkey, local = keys.hotkey.ss58_address, settings.local
    folder = settings.folder(hotkey)
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(until_signal())
        journal = Journal(folder / "journal.db")
        stack.callback(journal.close)
        store = StateStore(journal)
        chain = BittensorChain(settings.subtensor.endpoint, settings.netuid, keys, version_key=s.VERSION_KEY)
        stack.push_async_callback(chain.close)
        view = ChainView(chain, log, every=1 if local else 5)
        _check_registered(await first_snapshot(view, stop, log, patience=60), hotkey)
        ledger = Ledger(folder / "ledger.db")
        stack.callback(ledger.close)
        pool = settings.pool.open(ledger=ledger)
        dendrite = await stack.enter_async_context(Dendrite(keys.hotkey, local=local))
        following = asyncio.create_task(view.follow(stop))
        stack.callback(following.cancel)
        executor = stack.enter_context(ThreadPoolExecutor(4, thread_name_prefix="challenge"))
        draw = partial(draw_challenge, pool, patience=60.0 if local else 2.0, substitute=not local)
        partners = Partners(view, dendrite, draw, pool.retire, executor)
        seed = settings.seed if settings.seed is not None else kept_seed(folder)
        loop = ValidatorLoop(hotkey, settings, seed, partners, store, telemetry, log)
        await loop.run(WeightSetter(chain, view, hotkey, settings.neuron, store, log), stop)


def _check_registered(snapshot: Snapshot, hotkey: str) -> None:
    if snapshot.neuron(hotkey) is None:
        raise SettingsError(
            f"hotkey {hotkey} is not registered on subnet {snapshot.netuid}: run `btcli subnets register`"
        )
