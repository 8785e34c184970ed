"""A validator from its first look at the chain to its last weights: everything the loop plays with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from neurons import settings as s
from neurons.chain_view import ChainView, first_snapshot
from neurons.hotkey_lock import hold_hotkey
from neurons.log import Log
from neurons.secrets.epochs import SECRETS, kept, lines_of
from neurons.secrets.seed import choose_seed
from neurons.signals import ends_before, pause, until_signal
from neurons.validator.challenge_source import await_media, draw_challenge
from neurons.validator.loop import Partners, ValidatorLoop
from neurons.validator.low_water import check_known, check_low_water, check_owner
from neurons.validator.onchain.clock import clocks_apart
from neurons.validator.onchain.doppelganger import Doppelganger
from neurons.validator.onchain.epochs import Epochs, Seeds, Uncommitted
from neurons.validator.onchain.past import Past, read_past
from neurons.validator.settings import ValidatorSettings
from neurons.validator.telemetry import Telemetry
from neurons.validator.upkeep import Upkeep
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.bittensor import BittensorChain
from subnet.chain.wallets import open_wallet
from subnet.errors import ChainError, SettingsError
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from subnet.files import traceless
from subnet.game.history import History
from subnet.game.sampling import eligible
from subnet.media.pool.item import PoolItem
from subnet.media.pool.kept import Kept
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import GIGABYTE, Pool
from subnet.types import Snapshot
from subnet.wire.dendrite import MOST_AT_ONCE, Dendrite
from subnet.wire.http.connections import room_for_connections
from subnet.wire.synapse import Signer


async def run(settings: ValidatorSettings, telemetry: Telemetry, log: Log) -> None:
    """Play until SIGINT or SIGTERM, or until the wanted rounds are played. Raises SettingsError and StateError."""
    keys = open_wallet(settings.wallet.name, settings.wallet.hotkey, str(settings.wallet.path.expanduser()))
    hotkey, local = keys.hotkey.ss58_address, settings.local
    folder = settings.folder(hotkey)
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(until_signal())
        journal = _hold(stack, settings, hotkey, log)
        seed, past = choose_seed(settings.seed, settings.seed_file, folder), read_past(journal, kept(folder / SECRETS))
        store = StateStore(journal, newest=past.block)
        endpoint, neuron = settings.subtensor.endpoint, settings.neuron
        chain = BittensorChain(endpoint, settings.netuid, keys, version_key=s.VERSION_KEY, seal_round=neuron.seal_round)
        stack.push_async_callback(chain.close)
        view = ChainView(chain, log, every=1 if local else 5)
        snapshot = await first_snapshot(view, stop, log, patience=60)
        if snapshot is None or not await ends_before(stop, probing := asyncio.create_task(chain.probe())):
            return
        probing.result()
        _check_registered(snapshot, hotkey)
        check_known(snapshot, hotkey, journal, forward=neuron.forward)
        await check_low_water(chain, hotkey, journal, store, log, forward=neuron.forward)
        ledger = open_ledger(folder / "ledger.db", journal, log)
        stack.callback(ledger.close)
        pool = settings.pool.open(ledger=ledger)
        telemetry.watch(view, pool, folder)
        dendrite = await stack.enter_async_context(_dendrite(keys.hotkey, settings))
        following = asyncio.create_task(view.follow(stop))
        stack.callback(following.cancel)
        executor = stack.enter_context(ThreadPoolExecutor(4, thread_name_prefix="challenge"))
        patience = 300.0 if local else 2.0
        draw = partial(draw_challenge, pool, substitute=not local)
        waiting = partial(await_media, pool, patience=patience, stopping=stop.is_set)
        keeping = Kept(folder / s.KEPT, int(neuron.keep_gigabytes * GIGABYTE), neuron.keep_media * 3600)
        partners = Partners(view, dendrite, draw, partial(retire, pool, keeping), executor, waiting)
        aside = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="upkeep"))
        tidying = asyncio.create_task(Upkeep(journal, ledger, pool, aside, log).run(stop))
        stack.callback(tidying.cancel)
        log.info("playing", netuid=settings.netuid, hotkey=hotkey, state=str(folder))
        await _compare_clocks(chain, log)
        await _await_miners(view, hotkey, neuron, stop)
        seeds, setter = _on_chain(settings, chain, view, hotkey, past, store, log, seed)
        await ValidatorLoop(hotkey, settings, seeds, partners, store, telemetry, log).run(setter, stop)


def _hold(stack: AsyncExitStack, settings: ValidatorSettings, hotkey: str, log: Log) -> Journal:
    """The journal, this process's alone as is the hotkey. Raises StateError with the id of another; SettingsError."""
    if (lock := hold_hotkey("validator", s.home(), settings.netuid, hotkey, log)) is not None:
        stack.callback(os.close, lock)
    folder = settings.folder(hotkey)
    stack.enter_context(traceless(folder, ("journal.*", "seed")))  # until the ledger is opened
    journal = Journal(folder / "journal.db", settings.segments)
    stack.callback(journal.close)
    check_owner(journal, settings.netuid, hotkey)
    return journal


def open_ledger(path: Path, journal: Journal, log: Log) -> Ledger:
    """The ledger in `path`; one that is gone beside a `journal` with rounds is told. Raises StateError as it does."""
    if journal.length and not (path.exists() and path.stat().st_size):
        why = "whom items were asked is forgotten: one whose round was cut short may be asked of the same miner again"
        log.warning("the ledger is missing, and begins anew", path=str(path), why=why)
    return Ledger(path)


def _dendrite(keypair: Signer, settings: ValidatorSettings) -> Dendrite:
    at_once = min(MOST_AT_ONCE, room_for_connections())  # fewer where `ulimit -n` is low
    return Dendrite(keypair, local=settings.local, concurrency=at_once, fresh=settings.neuron.irregular)


def _on_chain(
    settings: ValidatorSettings,
    chain: BittensorChain,
    view: ChainView,
    hotkey: str,
    past: Past,
    store: StateStore,
    log: Log,
    seed: int,
) -> tuple[Seeds, WeightSetter]:
    """What this validator sends: commitments, unless they are off, and weights."""
    neuron, secrets, netuid = settings.neuron, settings.folder(hotkey) / SECRETS, settings.netuid
    drawn, recorded = settings.seed is None, past.epoch
    seeds: Seeds = Uncommitted(seed)
    if neuron.commit and not neuron.disable_set_weights:
        seeds = Epochs(chain, view, hotkey, seed, secrets, store, log, netuid=netuid, recorded=recorded, drawn=drawn)
    guard = Doppelganger(chain, hotkey, past, lambda: lines_of(kept(secrets)), log, take_over=neuron.take_over)
    return seeds, WeightSetter(chain, view, hotkey, neuron, store, log, guard=guard, unsettled=past.unsettled)


def retire(pool: Pool, kept: Kept, item: PoolItem) -> None:
    """Take `item` out of the pool for good, and keep it for those who check what was asked."""
    try:
        kept.keep(item)
    finally:
        pool.retire(item)


async def _await_miners(view: ChainView, hotkey: str, neuron: s.NeuronSettings, stop: asyncio.Event) -> None:
    """Until `--neuron.await_miners` can be asked: in a local network all of them are, in every round."""
    while not stop.is_set() and view.snapshot is not None:
        if len(eligible(view.snapshot, History(), hotkey, neuron.vpermit_tao_limit)) >= neuron.await_miners:
            return
        await pause(stop, 0.05)


async def _compare_clocks(chain: BittensorChain, log: Log) -> None:
    with contextlib.suppress(ChainError):
        if why := clocks_apart(time.time(), await chain.clock()):
            log.warning("clocks apart", why=why)


def _check_registered(snapshot: Snapshot, hotkey: str) -> None:
    if snapshot.neuron(hotkey) is None:
        raise SettingsError(
            f"hotkey {hotkey} is not registered on subnet {snapshot.netuid}: run `btcli subnets register`"
        )
