"""The validator: samples, asks, scores, and sets weights, for weeks and unattended.

    assay validator --netuid 34 --wallet.name cold --wallet.hotkey hot --pool.path pool

The game itself is `subnet.game.step`; this program gives it a chain, a pool, a transport and a journal, and survives
what they do.
"""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neurons import settings as s
from neurons.chain_view import ChainView, first_snapshot
from neurons.log import Log, configure
from neurons.producer.makers import origins_of, plan_of
from neurons.producer.program import PoolSettings
from neurons.signals import pause, until_signal
from neurons.validator.challenge_source import Drawing
from neurons.validator.telemetry import Telemetry
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.bittensor import BittensorChain, open_wallet
from subnet.errors import SettingsError
from subnet.evidence.journal import Journal
from subnet.evidence.records import DEPARTED, ROUND, DepartedRecord, record
from subnet.evidence.state import State, StateStore
from subnet.game.history import History
from subnet.game.sampling import Sampling, plan
from subnet.game.scoring import is_validator, retain
from subnet.game.step import step
from subnet.media.pool.ledger import Ledger
from subnet.types import Neuron, Snapshot
from subnet.wire.dendrite import Dendrite

STALE = 600.0  # seconds after which a snapshot is too old to play on


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
    asyncio.run(
        _main(
            netuid,
            neuron,
            sampling,
            subtensor,
            wallet,
            pool,
            state,
            seed,
            rounds,
            Telemetry(json, metrics_port, gallery, log),
            local,
            log,
        )
    )


async def _main(
    netuid: int,
    neuron: s.NeuronSettings,
    sampling: Sampling,
    subtensor: s.SubtensorSettings,
    wallet: s.WalletSettings,
    pool: PoolSettings,
    folder: Path | None,
    seed: int | None,
    rounds: int | None,
    telemetry: Telemetry,
    local: bool,
    log: Log,
) -> None:
    keys = open_wallet(wallet.name, wallet.hotkey, str(wallet.path.expanduser()))
    hotkey = keys.hotkey.ss58_address
    folder = folder or s.home() / f"validator-{netuid}-{hotkey}"
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(until_signal())
        journal = Journal(folder / "journal.db")
        stack.callback(journal.close)
        memory = StateStore(journal)
        chain = BittensorChain(subtensor.endpoint, netuid, keys, version_key=s.VERSION_KEY)
        stack.push_async_callback(chain.close)
        view = ChainView(chain, log, every=1 if local else 5)
        snapshot = await first_snapshot(view, stop, log, patience=60)
        _check_registered(snapshot, hotkey)
        ledger = Ledger(folder / "ledger.db")
        stack.callback(ledger.close)
        drawing = Drawing(pool.open(ledger=ledger), patience=60.0 if local else 2.0, substitute=not local)
        dendrite = await stack.enter_async_context(Dendrite(keys.hotkey, local=local))
        following = asyncio.create_task(view.follow(stop))
        stack.callback(following.cancel)
        executor = stack.enter_context(ThreadPoolExecutor(4, thread_name_prefix="challenge"))
        playing = ValidatorLoop(
            hotkey,
            neuron,
            sampling,
            seed if seed is not None else kept_seed(folder),
            view,
            drawing,
            dendrite,
            memory,
            executor,
            telemetry,
            log,
        )
        await playing.run(WeightSetter(chain, view, hotkey, neuron, memory, log), stop, rounds)


class ValidatorLoop:
    """The loop around `step`. What goes wrong in one round is logged and counted, and the next round is played."""

    def __init__(
        self,
        hotkey: str,
        settings: s.NeuronSettings,
        sampling: Sampling,
        seed: int,
        view: ChainView,
        drawing: Drawing,
        transport: Dendrite,
        memory: StateStore,
        executor: ThreadPoolExecutor,
        telemetry: Telemetry,
        log: Log,
    ) -> None:
        self.hotkey, self.settings, self.sampling, self.seed = hotkey, settings, sampling, seed
        self.view, self.drawing, self.transport, self.memory = view, drawing, transport, memory
        self.executor, self.telemetry, self.log = executor, telemetry, log

    async def run(self, weighing: WeightSetter, stop: asyncio.Event, rounds: int | None) -> None:
        """Play until `stop`, or until `rounds` have been played and their weights stand on chain."""
        loop = asyncio.get_running_loop()
        while not stop.is_set() and (rounds is None or self.memory.state.next_round < rounds):
            started = loop.time()
            try:
                await self.play(weighing)
            except Exception:  # the one broad except: nothing that one round does may end a validator
                self.log.exception("a round failed", number=self.memory.state.next_round)
                self.telemetry.failed_rounds.inc()
                self.memory.skip()
                await pause(stop, 1.0)
            await pause(stop, max(0.0, self.settings.interval - (loop.time() - started)))
        if rounds is not None and not stop.is_set():
            await weighing.finish(stop)
        self.telemetry.finished(self.memory.state)

    async def play(self, weighing: WeightSetter) -> None:
        """One round: ask, write down, and set weights when they are due."""
        snapshot = self.view.snapshot
        if snapshot is None or self.view.age > STALE:
            raise SettingsError("the chain has been silent for too long to play on its last snapshot")
        self._forget_departed(snapshot)
        state = self.memory.state
        miners = eligible(snapshot, state.history, self.hotkey, self.settings.vpermit_tao_limit)
        what = plan(self.seed, state.next_round, self.sampling, miners)
        played = await step(
            what, snapshot, state.history, self.drawing, self.transport, self.settings.timeout, self.executor
        )
        if error := self.memory.write(ROUND, record(played), State(what.number + 1, played.history)):
            self.log.error("the journal cannot be written", error=str(error), unwritten=self.memory.unwritten)
        self.drawing.retire()
        self.telemetry.played(played, self.view.block)
        await weighing.when_due()

    def _forget_departed(self, snapshot: Snapshot) -> None:
        state = self.memory.state
        present = frozenset(n.hotkey for n in snapshot.neurons)
        departed = tuple(sorted(set(state.history.standings) - present))
        if departed:
            body = DepartedRecord(block=snapshot.block, hotkeys=departed)
            self.memory.write(DEPARTED, body, State(state.next_round, retain(state.history, present)))
            self.log.info("hotkeys left the subnet", hotkeys=departed)


def eligible(snapshot: Snapshot, history: History, hotkey: str, stake_limit: float) -> list[Neuron]:
    """Whom to ask: every miner that serves, and those that were asked before, so that going away costs."""
    return [
        n
        for n in snapshot.neurons
        if n.hotkey != hotkey and not is_validator(n, stake_limit) and (n.endpoint or history[n.hotkey].asked)
    ]


def kept_seed(folder: Path) -> int:
    """The secret seed of this validator, drawn once: 128 bits in a file that only its owner reads."""
    path = folder / "seed"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(str(secrets.randbits(128)))
    return int(path.read_text())


def _check_registered(snapshot: Snapshot, hotkey: str) -> None:
    me = snapshot.neuron(hotkey)
    if me is None:
        raise SettingsError(
            f"hotkey {hotkey} is not registered on subnet {snapshot.netuid}: run `btcli subnets register`"
        )
