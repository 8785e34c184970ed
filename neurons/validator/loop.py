"""The loop around `subnet.game.step`: one round after another, whatever a round, a disk or a screen does."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from typing import Protocol

from neurons.chain_view import ChainView
from neurons.log import Log, Notes
from neurons.settings import NeuronSettings
from neurons.signals import ends_before, pause
from neurons.validator.onchain.epochs import Seed, Seeds
from neurons.validator.settings import ValidatorSettings
from neurons.validator.weight_setter import WeightSetter, WeightsStanding
from subnet.errors import SettingsError, StateError, SubnetError
from subnet.evidence.binding import BEHIND, OTHER_CHAIN
from subnet.evidence.records import DEPARTED, ROUND, RULES, DepartedRecord, record, rules_record
from subnet.evidence.state import State, StateStore
from subnet.game.sampling import RoundPlan, eligible, plan
from subnet.game.scoring import retain
from subnet.game.step import Draw, Round, step
from subnet.media.pool.item import PoolItem
from subnet.media.pool.pool import Drawn
from subnet.protocols import Transport
from subnet.types import Snapshot

LOOK_SECONDS = 0.25  # between two looks at whether weights are due
FULL_SECONDS = 5.0  # between two tries at a disk that has refused too much
STALE = 600.0  # seconds after which a snapshot is too old to play on


def interval(settings: NeuronSettings) -> float:
    """Seconds from this round to the next: of an irregular validator exponential, so that no time is unlike another."""
    if not settings.irregular or not settings.interval:
        return settings.interval
    return SystemRandom().expovariate(1 / settings.interval)


class Watcher(Protocol):
    """Whoever is told what was played: `neurons.validator.telemetry.Telemetry`, or a test."""

    def played(self, played: Round[Draw], block: int) -> Awaitable[None] | None: ...

    def failed(self) -> None: ...

    def weights(self, standing: WeightsStanding) -> None: ...

    def finished(self, state: State) -> Awaitable[None] | None: ...


@dataclass(frozen=True)
class Partners:
    """Whom the loop plays with. `draw` and `await_media` may block, in `executor`; `retire` deletes what was used."""

    view: ChainView
    transport: Transport
    draw: Callable[[RoundPlan], Drawn]
    retire: Callable[[PoolItem], None]
    executor: Executor
    await_media: Callable[[RoundPlan], None] = lambda _plan: None


class ValidatorLoop:
    """Plays rounds and keeps their facts in `store`. What goes wrong in one round is logged, and the next is played."""

    def __init__(
        self,
        hotkey: str,
        settings: ValidatorSettings,
        seeds: Seeds,
        partners: Partners,
        store: StateStore,
        watcher: Watcher,
        log: Log,
    ) -> None:
        self.hotkey, self.settings, self.seeds, self.partners = hotkey, settings, seeds, partners
        self.store, self.watcher, self.log = store, watcher, log
        self._played, self._notes = False, Notes(log)
        self.rules = rules_record(
            settings.netuid,
            hotkey,
            settings.sampling,
            vpermit_tao_limit=settings.neuron.vpermit_tao_limit,
            min_answers=settings.neuron.min_answers,
            share_places=settings.neuron.share_places,
        )

    async def run(self, setter: WeightSetter, stop: asyncio.Event) -> None:
        """Play until `stop`, or until the wanted rounds have been played and their weights stand on chain.

        Weights are set on the chain's schedule, beside the rounds: a round that waits for media delays none.
        """
        loop, rounds = asyncio.get_running_loop(), self.settings.rounds
        last = None if rounds is None else self.store.state.next_round + rounds
        self.store.note(RULES, self.rules)
        setting = asyncio.create_task(self._set_weights(setter, stop))
        try:
            while not stop.is_set() and (last is None or self.store.state.next_round < last):
                started = loop.time()
                await self._round(stop)
                await pause(stop, max(0.0, interval(self.settings.neuron) - (loop.time() - started)))
        finally:
            self._played = True
            await ends_before(stop, setting)
        if last is not None and not stop.is_set():
            await ends_before(stop, asyncio.create_task(self._finish(setter, stop)))
            self._tell_of_disk()
        await self._survives("telemetry", partial(self.watcher.finished, self.store.state))

    async def _finish(self, setter: WeightSetter, stop: asyncio.Event) -> None:
        await setter.finish(stop)
        if setter.alone:
            await self.seeds.finish(setter.last, stop)

    async def _round(self, stop: asyncio.Event) -> None:
        """One round, whatever comes of it. One that `stop` interrupts is neither recorded nor counted as failed."""
        if self.store.blocked and (refusal := self.store.flush()):
            why, facts = str(refusal), {"error": str(refusal), "unwritten": self.store.unwritten}
            self._notes.tell("no round is played until the journal can be written", why, logging.ERROR, **facts)
            await pause(stop, FULL_SECONDS)
            return
        self._notes.mend("no round is played until the journal can be written")
        playing = asyncio.create_task(self._survives("a round", self.play))
        if await ends_before(stop, playing) and not playing.result():
            self.store.skip()
            await self._survives("telemetry", self.watcher.failed)
            await pause(stop, 1.0)

    async def _set_weights(self, setter: WeightSetter, stop: asyncio.Event) -> None:
        while not stop.is_set() and not self._played:
            await self._survives("setting weights", setter.when_due)
            await self._survives("a commitment", partial(self.seeds.turn, setter.last, may_send=setter.alone))
            await self._survives("telemetry of weights", partial(self.watcher.weights, setter.standing))
            self._tell_of_disk()
            await pause(stop, LOOK_SECONDS)

    async def play(self) -> None:
        """One round: ask, write down, retire what was used, and tell of it."""
        async with self.seeds.round() as seed:
            await self._play(seed)

    async def _play(self, seed: Seed) -> None:
        partners = self.partners
        if (wanted := self._plan(seed, self._newest())).hotkeys:
            await asyncio.get_running_loop().run_in_executor(partners.executor, partners.await_media, wanted)
        snapshot = self._newest()
        self.store.note(RULES, self.rules)
        self.store.observe(snapshot)
        self._forget_departed(snapshot)
        what, history, deadline = self._plan(seed, snapshot), self.store.state.history, self.settings.neuron.timeout
        played = await step(what, snapshot, history, partners.draw, partners.transport, deadline, partners.executor)
        try:
            self._write(played, snapshot, seed)
        finally:
            if played.drawn is not None:
                await self._survives("retiring an item", partial(partners.retire, played.drawn.item))
        await self._survives("telemetry", partial(self.watcher.played, played, partners.view.block))

    def _newest(self) -> Snapshot:
        """The metagraph to play by. Raises StateError far below what the journal tells of: nobody could prove both."""
        view, recorded = self.partners.view, self.store.newest
        if view.snapshot is None or view.age > STALE:
            raise SettingsError("the chain has been silent for too long to play on its last snapshot")
        if view.snapshot.block < recorded - BEHIND:
            lags = "a node that lags catches up, or name another --subtensor.chain_endpoint"
            raise StateError(
                f"the chain is far below block {recorded}, of which the journal tells: {lags}; {OTHER_CHAIN}"
            )
        return view.snapshot

    def _plan(self, seed: Seed, snapshot: Snapshot) -> RoundPlan:
        state = self.store.state
        miners = eligible(snapshot, state.history, self.hotkey, self.settings.neuron.vpermit_tao_limit)
        return plan(seed.value, state.next_round, self.settings.sampling, miners)

    def _write(self, played: Round[Drawn], snapshot: Snapshot, seed: Seed) -> None:
        """Take over what was played. Raises StateError where the metagraph that it was played by is too old by now."""
        if snapshot.block < self.store.newest - BEHIND:
            raise StateError(f"a round lasted over {BEHIND} blocks: weights were set by newer metagraphs meanwhile")
        body = record(played, seed.epoch, played.drawn.item.content if played.drawn else "")
        self.store.confirm(snapshot)  # weights may have been set on another meanwhile
        self.store.write(ROUND, body, State(played.plan.number + 1, played.history))
        self._tell_of_disk()

    def _tell_of_disk(self) -> None:
        """Whoever wrote what the disk refuses, a round, weights or a commitment: it is one trouble."""
        if why := self.store.refusal:
            facts = {"error": why, "unwritten": self.store.unwritten}
            self._notes.tell("the journal cannot be written", why, logging.ERROR, **facts)
        else:
            self._notes.mend("the journal cannot be written")

    async def _survives(self, what: str, action: Callable[[], Awaitable[None] | None]) -> bool:
        """Do `action`, which may be a coroutine function; whether it went well. A fault of ours has its traceback."""
        try:
            if inspect.isawaitable(doing := action()):
                await doing
        except Exception as error:  # noqa: BLE001 - the one broad except: no fault of a round ends a validator
            ours = not isinstance(error, SubnetError | OSError)
            why = error.strerror if isinstance(error, OSError) else error  # not its path, which is new every time
            facts: dict[str, object] = {"exc_info": True} if ours else {"error": str(error)}
            facts["number"] = self.store.state.next_round
            self._notes.tell(f"{what} failed", f"{type(error).__name__} {why}", logging.ERROR, **facts)
            return False
        self._notes.mend(f"{what} failed")
        return True

    def _forget_departed(self, snapshot: Snapshot) -> None:
        state = self.store.state
        present = frozenset(n.hotkey for n in snapshot.neurons)
        departed = tuple(sorted(set(state.history.standings) - present))
        if departed:
            body = DepartedRecord(block=snapshot.block, hotkeys=departed)
            self.store.write(DEPARTED, body, State(state.next_round, retain(state.history, present)))
            self.log.info("hotkeys left the subnet", hotkeys=departed)
