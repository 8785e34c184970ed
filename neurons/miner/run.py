"""A miner from its first look at the chain to its last reply."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from neurons import settings as s
from neurons.chain_view import ChainView, first_snapshot
from neurons.hotkey_lock import hold_hotkey
from neurons.log import Log
from neurons.miner.answering import answering
from neurons.miner.judges import Judges, remote_judges
from neurons.miner.loading import load_detectors
from neurons.miner.publishing import Publishing
from neurons.miner.reloading import Reloading, fingerprints
from neurons.miner.settings import MinerSettings
from neurons.signals import ends_before, on_hangup, until_signal
from subnet.chain.bittensor import BittensorChain
from subnet.chain.wallets import open_wallet
from subnet.errors import SettingsError
from subnet.files import traceless
from subnet.types import Endpoint, Prediction, Snapshot
from subnet.wire.admission import weight
from subnet.wire.axon import AxonConfig, RequestHandler, application
from subnet.wire.http.server import serve
from subnet.wire.nonces import SqliteNonceStore


async def run(
    settings: MinerSettings,
    log: Log,
    say: Callable[[Prediction], float] = lambda prediction: prediction.p_synthetic,
) -> None:
    """Serve until SIGINT or SIGTERM. `say` is the number sent for a prediction."""
    keys = open_wallet(settings.wallet.name, settings.wallet.hotkey, str(settings.wallet.path.expanduser()))
    hotkey, wanted, policy = keys.hotkey.ss58_address, settings.detector, settings.policy()
    async with AsyncExitStack() as stack:
        _hold(stack, settings, hotkey, log)
        chain = BittensorChain(settings.subtensor.endpoint, settings.netuid, keys, version_key=s.VERSION_KEY)
        stack.push_async_callback(chain.close)
        view = ChainView(chain, log)
        known = fingerprints(wanted)
        here = None if wanted.address else Judges(load_detectors(wanted))
        stop, forced = stack.enter_context(until_signal()), asyncio.Event()
        stack.enter_context(on_hangup(forced.set))
        judges = here or await remote_judges(stack, wanted.address or "", stop, log)
        snapshot = await first_snapshot(view, stop, log, patience=60) if judges else None
        if judges is None or snapshot is None:
            return
        _check_registered(snapshot, hotkey)
        answer = await answering(
            stack, judges.detectors, wanted.max_batch, lambda asker: weight(asker, view.metagraph(), policy)
        )
        nonces = _nonces(stack, settings, hotkey)
        publishing = Publishing(chain, view, hotkey, log)
        axon = AxonConfig(keys.hotkey, view.metagraph, nonces, answer, answer.served, policy, say=say)
        unready = partial(_unready, publishing, judges)
        watched = replace(axon, unready=unready, chain_age=lambda: round(view.age, 1), monitors=settings.axon.monitors)
        handler = RequestHandler(watched)
        server = await serve(application(handler), settings.axon.ip, settings.axon.port, drain=handler.drain)
        stack.push_async_callback(server.stop)
        server.stop_at(stop)
        endpoint = settings.endpoint(server.port)
        log.info("listening", host=server.host, port=server.port, hotkey=hotkey, publishing=endpoint.url)
        reloading = Reloading(wanted, known, answer, forced, log) if here else None
        serving = asyncio.create_task(_stay(publishing, endpoint, view, reloading, stop))
        if await ends_before(stop, serving):
            serving.result()
        log.info("stopping")


def _hold(stack: AsyncExitStack, settings: MinerSettings, hotkey: str, log: Log) -> None:
    """This process alone is the hotkey's miner. Raises StateError with the id of another."""
    own = settings.folder(hotkey)
    for folder in (s.home(), own):
        if folder == own:
            stack.enter_context(traceless(own, (s.MINERS_LOCK,)))  # until there is a memory of requests
        if (lock := hold_hotkey("miner", folder, settings.netuid, hotkey, log)) is not None:
            stack.callback(os.close, lock)


def _nonces(stack: AsyncExitStack, settings: MinerSettings, hotkey: str) -> SqliteNonceStore:
    """The memory of accepted requests, for the time of `stack`."""
    folder = settings.folder(hotkey)
    folder.mkdir(parents=True, exist_ok=True)
    nonces = SqliteNonceStore(folder / "nonces.db")
    stack.callback(nonces.close)
    return nonces


def _unready(publishing: Publishing, judges: Judges) -> str:
    """Why no validator is answered, or ""."""
    return publishing.unready() or judges.unready()


def _check_registered(snapshot: Snapshot, hotkey: str) -> None:
    if snapshot.neuron(hotkey) is None:
        raise SettingsError(
            f"hotkey {hotkey} is not registered on subnet {snapshot.netuid}: run `btcli subnets register` first"
        )


async def _stay(
    publishing: Publishing, endpoint: Endpoint, view: ChainView, reloading: Reloading | None, stop: asyncio.Event
) -> None:
    """Publish, and then follow the chain and the weights. Raises SettingsError where the chain refuses the endpoint."""
    renewing = asyncio.create_task(reloading.keep(stop) if reloading else stop.wait())
    try:
        await publishing.publish(endpoint, stop)
        await asyncio.gather(view.follow(stop), publishing.keep(stop), renewing)
    finally:
        renewing.cancel()
