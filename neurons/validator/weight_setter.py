"""When and how weights are set, and what is done when the chain says no."""

from __future__ import annotations

import asyncio

from neurons import settings as s
from neurons.chain_view import ChainView
from neurons.log import Log
from neurons.signals import pause
from subnet.errors import ChainError
from subnet.evidence.records import WEIGHTS, WeightsRecord
from subnet.evidence.state import StateStore
from subnet.game.scoring import weights
from subnet.protocols import Chain
from subnet.types import Receipt, Snapshot, Submission

NO_SCORES, UNWRITTEN = "NO_SCORES", "UNWRITTEN"  # our own reasons, beside the chain's codes


class WeightSetter:
    """Sets weights by the chain's rate limit and `--neuron.epoch_length`, and writes down every attempt."""

    def __init__(
        self, chain: Chain, view: ChainView, hotkey: str, settings: s.NeuronSettings, memory: StateStore, log: Log
    ) -> None:
        self._chain, self._view, self._hotkey, self._settings = chain, view, hotkey, settings
        self._memory, self._log = memory, log
        self._not_before = 0  # block
        self._task: asyncio.Task[Receipt] | None = None

    async def when_due(self) -> None:
        """Start setting weights when they are due; rounds go on meanwhile."""
        snapshot = self._view.snapshot
        if snapshot is None or self._settings.disable_set_weights or (self._task and not self._task.done()):
            return
        if self._view.block >= max(self._not_before, self.due(snapshot)):
            self._task = asyncio.create_task(self._try_once(snapshot))

    def due(self, snapshot: Snapshot) -> int:
        """The block from which weights may be set again: by the chain's record, so a restart never sets them twice."""
        me = snapshot.neuron(self._hotkey)
        last = me.last_update if me else 0
        return last + max(snapshot.hyperparameters.weights_rate_limit, self._settings.epoch_length) if last else 0

    async def finish(self, stop: asyncio.Event, patience: float = 120.0) -> None:
        """Set final weights, as soon as the chain allows, and wait until they stand there."""
        if self._settings.disable_set_weights:
            return
        if self._task:
            await self._task
        ends = asyncio.get_running_loop().time() + patience
        while not stop.is_set() and asyncio.get_running_loop().time() < ends:
            snapshot = self._view.snapshot
            ripe = snapshot and self._view.block >= max(self._not_before, self.due(snapshot))
            if snapshot and ripe and (await self._try_once(snapshot)).submission is Submission.OK:
                return
            await pause(stop, 0.2)
        self._log.error("the final weights were not set in time", seconds=patience)

    async def _try_once(self, snapshot: Snapshot) -> Receipt:
        receipt, sent = await self._submit(snapshot)
        body = WeightsRecord(
            block=self._view.block,
            weights=sent,
            submission=receipt.submission,
            code=receipt.code,
            message=receipt.message,
        )
        if error := self._memory.write(WEIGHTS, body):
            self._log.error("the journal cannot be written", error=str(error), unwritten=self._memory.unwritten)
        self._not_before = self._view.block + self._wait(receipt, snapshot)
        say = self._log.info if receipt.submission is Submission.OK else self._log.warning
        say(
            "weights",
            result=receipt.submission.value,
            code=receipt.code,
            why=receipt.message,
            next_try=self._not_before,
        )
        return receipt

    async def _submit(self, snapshot: Snapshot) -> tuple[Receipt, dict[int, float]]:
        if self._memory.blocked:
            return Receipt(Submission.REJECTED, code=UNWRITTEN, message="nothing can be written down: no weights"), {}
        wanted = weights(self._memory.state.history, snapshot.neurons, self._settings.vpermit_tao_limit)
        if not wanted:
            return Receipt(Submission.REJECTED, code=NO_SCORES, message="no miner has earned anything yet"), {}
        try:
            return await self._chain.set_weights(wanted), wanted
        except ChainError as error:
            return Receipt(Submission.AMBIGUOUS, message=str(error)), wanted

    def _wait(self, receipt: Receipt, snapshot: Snapshot) -> int:
        """Blocks until the next try makes sense."""
        match receipt.submission:
            case Submission.OK:
                return max(snapshot.hyperparameters.weights_rate_limit, self._settings.epoch_length)
            case Submission.REJECTED:
                return 5 if receipt.code == NO_SCORES else min(100, self._settings.epoch_length)
            case _:  # too early, or it may still land
                return max(1, receipt.blocks or 1)
