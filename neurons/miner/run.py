"""A miner from its first look at the chain to its last reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from neurons import settings as s
from neurons.chain_view import ChainView, first_snapshot
from neurons.log import Log
from neurons.miner.answering import answering, load_detectors
from neurons.miner.publishing import Publishing
from neurons.miner.settings import MinerSettings
from neurons.signals import ends_before, until_signal
from subnet.chain.bittensor import BittensorChain
from subnet.chain.wallets import open_wallet
from subnet.errors import SettingsError
from subnet.types import Endpoint, Prediction
from subnet.wire.admission import weight
from subnet.wire.axon import AxonConfig, RequestHandler, Served, application
from subnet.wire.http.server import serve
from subnet.wire.nonces import SqliteNonceStore


async def run(
    settings: MinerSettings,
    log: Log,
    say: Callable[[Prediction], float] = lambda prediction: prediction.p_synthetic,
) -> None:
    """Serve until SIGINT or SIGTERM. `say` is the number sent for a prediction."""
    detectors = load_detectors(settings.detector)
    keys = open_wallet(settings.wallet.name, settings.wallet.hotkey, str(settings.wallet.path.expanduser()))
    hotkey = keys.hotkey.ss58_address
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(until_signal())
        chain = BittensorChain(settings.subtensor.endpoint, settings.netuid, keys, version_key=s.VERSION_KEY)
        stack.push_async_callback(chain.close)
        view = ChainView(chain, log)
        snapshot = await first_snapshot(view, stop, log, patience=60)
        if snapshot is None:
            return
        if snapshot.neuron(hotkey) is None:
            raise SettingsError(
                f"hotkey {hotkey} is not registered on subnet {settings.netuid}: run `btcli subnets register` first"
            )
        policy = settings.policy()
        answer = await answering(
            stack, detectors, settings.detector.max_batch, lambda hotkey: weight(hotkey, view.metagraph(), policy)
        )
        folder = settings.folder(hotkey)
        folder.mkdir(parents=True, exist_ok=True)
        nonces = SqliteNonceStore(folder / "nonces.db")
        stack.callback(nonces.close)
        served = {modality: Served(detector.name, detector.weights_hash) for modality, detector in detectors.items()}
        publishing = Publishing(chain, view, hotkey, log)
        axon = AxonConfig(keys.hotkey, view.metagraph, nonces, answer, served, policy, say=say)
        handler = RequestHandler(replace(axon, unready=publishing.unready, monitors=settings.axon.monitors))
        server = await serve(application(handler), settings.axon.ip, settings.axon.port, drain=handler.drain)
        stack.push_async_callback(server.stop)
        endpoint = settings.endpoint(server.port)
        log.info("listening", host=server.host, port=server.port, hotkey=hotkey, publishing=endpoint.url)
        serving = asyncio.create_task(_stay(publishing, endpoint, view, stop))
        if await ends_before(stop, serving):
            serving.result()
        log.info("stopping")


async def _stay(publishing: Publishing, endpoint: Endpoint, view: ChainView, stop: asyncio.Event) -> None:
    """Publish, and then follow the chain. Raises SettingsError where the chain refuses the endpoint for good."""
    await publishing.publish(endpoint, stop)
    await asyncio.gather(view.follow(stop), publishing.keep(stop))
