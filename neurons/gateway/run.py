"""A gateway from its first look at the chain to its last answer: everything the server works with."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from neurons import settings as s
from neurons.chain_view import ChainView, first_snapshot
from neurons.gateway.asking import Asking
from neurons.gateway.judgement.aggregation import Caution
from neurons.gateway.judgement.past import Past
from neurons.gateway.metrics import Metrics
from neurons.gateway.requests.around import PatientProtocol
from neurons.gateway.requests.fetching import Fetching
from neurons.gateway.requests.uploads import decoder
from neurons.gateway.server import Api, application, bodies
from neurons.gateway.service import Parts, Room, Service
from neurons.gateway.settings import GatewaySettings
from neurons.gateway.store.database import Database, check
from neurons.gateway.store.jobs import Jobs
from neurons.gateway.store.keys import Keys
from neurons.gateway.store.opening import open_database
from neurons.gateway.store.repeats import Repeats
from neurons.gateway.webhooks import Webhooks
from neurons.gateway.worker import Worker
from neurons.log import Log
from neurons.signals import ends_before, until_signal
from neurons.validator.monitors.serving import serve_metrics
from subnet.chain.bittensor import BittensorChain
from subnet.chain.wallets import open_wallet
from subnet.errors import SettingsError
from subnet.evidence.reader import LIVE
from subnet.types import Snapshot
from subnet.wire.dendrite import Dendrite
from subnet.wire.http.server import serve


@dataclass(frozen=True)
class Running:
    """The gateway's flags, as `assay gateway --help` describes them; `state` is the folder of keys and jobs."""

    netuid: int
    gateway: GatewaySettings
    subtensor: s.SubtensorSettings
    wallet: s.WalletSettings
    journal: Path | None
    state: Path
    local: bool = False
    metrics_port: int | None = None

    def journal_of(self, hotkey: str) -> Path:
        """The journal of validator `hotkey`. Raises SettingsError where there is none."""
        path = self.journal or s.home() / f"validator-{self.netuid}-{hotkey}"
        file = path / LIVE if path.is_dir() else path
        if not file.is_file():
            raise SettingsError(
                f"--journal: {file} is not there, and miners' skill is measured on it: run `assay validator` with this "
                "hotkey on this machine first, or name its journal"
            )
        return file


async def run(settings: Running, log: Log) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError, StateError and ChainError."""
    keys = open_wallet(settings.wallet.name, settings.wallet.hotkey, str(settings.wallet.path.expanduser()))
    hotkey, own = keys.hotkey.ss58_address, settings.gateway
    journal = settings.journal_of(hotkey)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(until_signal())
        database = open_database(settings.state, own.database)
        stack.callback(database.close)
        webhooks = Webhooks(database.secret(), log)
        stack.push_async_callback(webhooks.close)
        chain = BittensorChain(settings.subtensor.endpoint, settings.netuid, keys, version_key=s.VERSION_KEY)
        stack.push_async_callback(chain.close)
        view = ChainView(chain, log, every=1 if settings.local else 5)
        snapshot = await first_snapshot(view, stop, log, patience=60)
        if snapshot is None:
            return
        _check_asker(snapshot, hotkey)
        following = asyncio.create_task(view.follow(stop))
        stack.callback(following.cancel)
        dendrite = await stack.enter_async_context(Dendrite(keys.hotkey, local=settings.local, fresh=True))
        executor = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="media"))
        asking = Asking(
            dendrite, executor, count=own.miners, seconds=own.timeout, rate=own.miner_rate, tell=metrics.reply
        )
        stack.push_async_callback(asking.close)
        clips = decoder(children=1)
        stack.callback(clips.close)
        past = Past(journal, stake_limit=s.VALIDATOR_STAKE)
        parts = Parts(
            hotkey, view, past, asking, clips, executor, Caution(own.confidence, own.least), partial(check, database)
        )
        service = Service(parts, log, Room(own.at_once, own.waiting))
        await service.refresh()
        api = _api(own, database, service, metrics, log)
        if settings.metrics_port is not None:
            serve_metrics(settings.metrics_port, metrics.registry)
        await _serve(own, api, webhooks, stop)


def _api(own: GatewaySettings, database: Database, service: Service, metrics: Metrics, log: Log) -> Api:
    keep = own.keep_answers * 3600
    jobs = Jobs(database, keep=keep, of_key=own.key_jobs, most=own.jobs)
    repeats = Repeats(database, keep=keep)
    metrics.watch(service.faults, jobs.waiting)
    return Api(
        service,
        Keys(database),
        jobs,
        repeats,
        bodies(),
        Fetching(own.urls, own.bytes),
        own.bytes,
        asyncio.Event(),
        metrics,
        log,
    )


async def _serve(own: GatewaySettings, api: Api, webhooks: Webhooks, stop: asyncio.Event) -> None:
    server = await serve(application(api), own.ip, own.port, protocol=PatientProtocol, flags="--gateway.")
    server.stop_at(stop)
    try:
        host = f"[{server.host}]" if ":" in server.host else server.host
        api.log.info("listening", address=f"http://{host}:{server.port}/", faults=api.service.faults())
        worker = Worker(api.service, api.jobs, api.keys, api.repeats, webhooks, api.wake, api.log)
        working = asyncio.create_task(_both(worker, api.service, stop))
        if await ends_before(stop, working):
            working.result()
        api.log.info("stopping")
    finally:
        await server.stop()


async def _both(worker: Worker, service: Service, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        answering = group.create_task(worker.run())
        await service.follow(stop)
        answering.cancel()


def _check_asker(snapshot: Snapshot, hotkey: str) -> None:
    neuron = snapshot.neuron(hotkey)
    if neuron is None or not neuron.permit:
        what = "is not registered" if neuron is None else "has no validator permit"
        raise SettingsError(
            f"hotkey {hotkey} {what} on subnet {snapshot.netuid}, so that no miner would answer: name a validator's "
            "(--wallet.hotkey)"
        )
