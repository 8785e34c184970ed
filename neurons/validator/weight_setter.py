"""When and how weights are set, and what is done when the chain says no."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from neurons import settings as s
from neurons.chain_view import REORGANISATION, ChainView
from neurons.log import Log
from neurons.signals import pause
from neurons.validator.onchain.doppelganger import Doppelganger
from neurons.validator.onchain.past import LANDS, Unsettled
from subnet.chain.receipts import EXPIRED, PASSING
from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError
from subnet.evidence.records import SETTING, WEIGHTS, Record, WeightsRecord, setting_record
from subnet.evidence.state import StateStore
from subnet.game.places import share_uids
from subnet.game.scoring import evidence, is_validator, weights
from subnet.protocols import Chain
from subnet.types import Receipt, Snapshot, Submission

NO_SCORES, TOO_FEW, UNWRITTEN = "NO_SCORES", "TOO_FEW", "UNWRITTEN"  # our own reasons, beside the chain's codes
REVEALED_AFTER = 3  # tempos after a commit in which the chain must have opened it


@dataclass(frozen=True)
class WeightsStanding:
    """How weights stand: whether we may set them, what stands behind them, what became of the last."""

    permit: bool = False
    answers: int = 0  # of the median miner
    unrevealed: int = 0  # sealed weights that never opened
    attempts: Mapping[Submission, int] = field(default_factory=dict)
    block: int = 0  # of the last weights that the chain took


class WeightSetter:
    """Sets weights by the chain's rate limit and `--neuron.epoch_length`, writing down each attempt before and after.

    The first weights wait until the median miner has `--neuron.min_answers` answers behind its score, until `guard` has
    seen that the hotkey is at work here alone, and until the fate of `unsettled` ones of an earlier run is known.
    """

    def __init__(
        self,
        chain: Chain,
        view: ChainView,
        hotkey: str,
        settings: s.NeuronSettings,
        store: StateStore,
        log: Log,
        *,
        guard: Doppelganger | None = None,
        unsettled: Unsettled | None = None,
    ) -> None:
        self._chain, self._view, self._hotkey, self._settings = chain, view, hotkey, settings
        self._store, self._log = store, log
        self._guard, self._unsettled, self._attempt = guard, unsettled, 0
        self.standing = WeightsStanding()
        self._places = store.places if settings.share_places else None
        self._not_before = self._tried_at = 0  # blocks
        self._enough = False
        self._commits: deque[tuple[int, dict[int, int]]] = deque(maxlen=16)  # block and sealed weights, not yet open
        self._notes: dict[str, str] = {}
        self._refusal = ""  # why the last attempt set none

    async def when_due(self) -> None:
        """Set weights if they are due: by the chain's record, by our own waiting, and with enough answers."""
        snapshot = self._view.snapshot
        if snapshot is None or self._settings.disable_set_weights:
            return
        permit, answers = self._permit(snapshot), self._answers(snapshot)
        self.standing = replace(self.standing, permit=permit, answers=answers, block=self.last)
        if await self._may_send(snapshot) and permit and self._ripe(snapshot, answers):
            await self._look_for_reveals(snapshot)
            await self._try_once(snapshot)

    @property
    def alone(self) -> bool:
        """Whether nothing speaks against sending transactions from this machine."""
        return self._guard is None or self._guard.alone

    @property
    def last(self) -> int:
        """The block of the last weights under this hotkey; 0 for none."""
        me = self._view.snapshot.neuron(self._hotkey) if self._view.snapshot else None
        return max(self.standing.block, me.last_update if me else 0)

    async def _may_send(self, snapshot: Snapshot) -> bool:
        try:
            if self._guard and not await self._guard.look(snapshot):
                return False
        except ChainError:
            return False
        return self._reconciled(snapshot)

    def _reconciled(self, snapshot: Snapshot) -> bool:
        """Whether the fate of weights that an earlier run sent is known. It is written down, and nothing sent twice."""
        if self._unsettled is None:
            return True
        setting, me = self._unsettled.setting, snapshot.neuron(self._hotkey)
        if me is not None and me.last_update > setting.block:
            fate = Receipt(
                Submission.OK, block=me.last_update, message="sent before a restart, and stood on chain after it"
            )
        elif not setting.block - REORGANISATION <= snapshot.block <= setting.block + LANDS:
            fate = Receipt(
                Submission.REJECTED, code=EXPIRED, message="sent before a restart, if at all; it never stood"
            )
        else:
            return False
        if not self._unsettled.recorded:
            self._write(WEIGHTS, _outcome(snapshot.block, self._unsettled.weights, fate, setting.attempt))
        self._log.info("weights", result=fate.submission.value, why=fate.message)
        self._unsettled = None
        return True

    def due(self, snapshot: Snapshot) -> int:
        """The block from which weights may be set again: by the chain's record, so a restart never sets them twice."""
        me = snapshot.neuron(self._hotkey)
        last = me.last_update if me else 0
        return last + max(snapshot.hyperparameters.weights_rate_limit, self._settings.epoch_length) if last else 0

    async def finish(self, stop: asyncio.Event, patience: float = 120.0) -> None:
        """Set final weights, as soon as the chain allows, and wait until they stand there."""
        if self._settings.disable_set_weights:
            return
        ends = asyncio.get_running_loop().time() + patience
        while not stop.is_set() and asyncio.get_running_loop().time() < ends:
            snapshot = self._view.snapshot
            ripe = snapshot and await self._may_send(snapshot) and self._ripe(snapshot, self._settings.min_answers)
            if snapshot and ripe and (await self._try_once(snapshot)).submission is Submission.OK:
                return
            await pause(stop, 0.2)
        if not stop.is_set():
            self._log.error("the final weights were not set in time", seconds=patience)

    def _ripe(self, snapshot: Snapshot, answers: int) -> bool:
        block = self._view.block
        if block < self._tried_at:  # the chain was reset: what we wait for is of another chain
            self._not_before = self._tried_at = 0
        self._enough = self._enough or answers >= self._settings.min_answers  # for good: newcomers stop no weights
        why = f"the median miner has {answers} of {self._settings.min_answers} answers: no weights yet"
        self._note("answers", "" if self._enough else why)
        return self._enough and block >= max(self._not_before, self.due(snapshot))

    def _answers(self, snapshot: Snapshot) -> int:
        return evidence(self._store.state.history, snapshot.neurons, self._settings.vpermit_tao_limit)

    def _permit(self, snapshot: Snapshot) -> bool:
        me = snapshot.neuron(self._hotkey)
        permitted = me is not None and me.permit
        if me is None:
            why = "this hotkey is not registered any more: no weights can be set; register it again"
        elif not me.permit:
            why = "no validator permit: the chain would not count weights; more stake brings one at the next epoch"
        else:
            why = ""
        self._note("permit", why)
        poor = permitted and me is not None and not is_validator(me, self._settings.vpermit_tao_limit)
        self._note("stake", "below --neuron.vpermit_tao_limit: others take this validator for a miner" if poor else "")
        return permitted

    async def _look_for_reveals(self, snapshot: Snapshot) -> None:
        """Sealed weights that never showed on chain are told: validators lose their dividends by that in silence."""
        ripe = self._view.block - REVEALED_AFTER * snapshot.hyperparameters.tempo
        me = snapshot.neuron(self._hotkey)
        if me is None or not self._commits or self._commits[0][0] > ripe:
            return
        try:
            shown = await self._chain.weights(me.uid)
        except ChainError:
            return
        old = [sealed for block, sealed in self._commits if block <= ripe]
        opened = any(shown == sealed for _, sealed in self._commits)
        self.standing = replace(self.standing, unrevealed=0 if opened else len(old))
        why = f"{len(old)} sealed weights never opened on chain, the oldest of block {self._commits[0][0]}"
        self._note("reveals", "" if opened else f"{why}: look at the subnet's reveal period and at this clock")
        while self._commits and self._commits[0][0] <= ripe:
            self._commits.popleft()

    def _note(self, about: str, why: str) -> None:
        """Warn once for every new reason, and say when it is gone."""
        before, self._notes[about] = self._notes.get(about, ""), why
        if why and why != before:
            self._log.warning("weights", about=about, why=why)
        elif before and not why:
            self._log.info("weights", about=about, why="mended")

    async def _try_once(self, snapshot: Snapshot) -> Receipt:
        receipt, sent = await self._submit(snapshot)
        attempt = self._attempt if sent else None
        self._attempt += bool(sent)
        self._tried_at = self._view.block
        landed = max(self._tried_at, receipt.block or 0)  # the view may be blocks behind the one that took them
        self._write(WEIGHTS, _outcome(landed, sent, receipt, attempt))
        self._not_before = self._tried_at + self._wait(receipt, snapshot)
        if receipt.submission is Submission.OK and snapshot.hyperparameters.commit_reveal:
            self._commits.append((self._tried_at, normalise_u16(sent)))
        attempts = {**self.standing.attempts, receipt.submission: self.standing.attempts.get(receipt.submission, 0) + 1}
        block = self._tried_at if receipt.submission is Submission.OK else self.standing.block
        self.standing = replace(self.standing, attempts=attempts, block=block)
        self._tell(receipt)
        return receipt

    def _tell(self, receipt: Receipt) -> None:
        """Each setting, and each new reason for none."""
        fine, before = receipt.submission is Submission.OK, self._refusal
        self._refusal = "" if fine else f"{receipt.submission} {receipt.code}"
        level = logging.INFO if fine else logging.DEBUG if self._refusal == before else logging.WARNING
        result = "not sent" if receipt.code in (NO_SCORES, TOO_FEW, UNWRITTEN) else receipt.submission.value
        facts = {"result": result, "code": receipt.code, "why": receipt.message}
        self._log.log(level, "weights", **facts, next_try=self._not_before)

    async def _submit(self, snapshot: Snapshot) -> tuple[Receipt, dict[int, float]]:
        if self._store.blocked:
            return Receipt(Submission.REJECTED, code=UNWRITTEN, message="nothing can be written down: no weights"), {}
        await self._compare()
        snapshot = self._view.snapshot or snapshot  # others came while it was compared, or the chain was asked
        wanted = weights(self._store.state.history, snapshot.neurons, self._settings.vpermit_tao_limit)
        if not wanted:
            why = "no miner has earned anything yet: none are set, and the chain keeps the last ones"
            return Receipt(Submission.REJECTED, code=NO_SCORES, message=why), {}
        if self._places is not None:
            wanted = share_uids(wanted, snapshot.neurons, self._places.clusters())
        if why := _too_few(wanted, snapshot):
            return Receipt(Submission.REJECTED, code=TOO_FEW, message=why), {}
        self._store.observe(snapshot)
        self._write(SETTING, setting_record(snapshot, wanted, self._attempt))
        if self._store.unwritten:
            why = "what is about to be sent is not on disk: a journal without it would make these weights nobody's"
            return Receipt(Submission.REJECTED, code=UNWRITTEN, message=why), wanted
        try:
            return await self._chain.set_weights(wanted), wanted
        except ChainError as error:
            return Receipt(Submission.AMBIGUOUS, message=str(error)), wanted

    async def _compare(self) -> None:
        """Know the clusters of this hundred of rounds, whose places are shared; rounds go on meanwhile."""
        from subnet.game.likeness import likeness

        while self._places is not None and self._places.known is None:
            hundred, table = self._places.hundred, self._places.table()
            self._places.learn(hundred, (await asyncio.to_thread(likeness, table)).clusters)

    def _write(self, kind: str, body: Record) -> None:
        self._store.write(kind, body)  # the loop tells what the disk refuses

    def _wait(self, receipt: Receipt, snapshot: Snapshot) -> int:
        """Blocks until the next try makes sense."""
        match receipt.submission:
            case Submission.OK:
                return max(snapshot.hyperparameters.weights_rate_limit, self._settings.epoch_length)
            case Submission.REJECTED if receipt.code in PASSING:
                return 1
            case Submission.REJECTED:
                return 5 if receipt.code in (NO_SCORES, TOO_FEW) else min(100, self._settings.epoch_length)
            case _:  # too early, or it may still land
                return max(1, receipt.blocks or 1)


def _too_few(wanted: Mapping[int, float], snapshot: Snapshot) -> str:
    """Why the chain would refuse so few weights; empty when it would not."""
    least = min(snapshot.hyperparameters.min_allowed_weights, len(snapshot.neurons))
    count = len(normalise_u16(wanted))
    if count >= least:
        return ""
    return f"{count} miners have earned weights, and the chain takes none for fewer than {least} (min_allowed_weights)"


def _outcome(block: int, weights: dict[int, float], receipt: Receipt, attempt: int | None) -> WeightsRecord:
    return WeightsRecord(
        block=block,
        weights=weights,
        submission=receipt.submission,
        code=receipt.code,
        message=receipt.message,
        attempt=attempt,
    )
