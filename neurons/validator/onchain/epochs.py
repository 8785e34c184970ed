"""The epochs of a validator at work: secrets kept, commitments sent, and the seed of each round.

A commitment reveals the secret of the epoch before it. So no round is under way while one is sent, and from then on no
round is played in that epoch, whatever becomes of the commitment: rounds follow from the permanent seed, and count as
uncommitted, until the next one stands. Everything is in the state folder before it is sent, so that a validator that is
killed at any point goes on with the right secret, sends nothing twice, and plays nothing that can be foreseen.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from neurons.chain_view import REORGANISATION, ChainView
from neurons.log import Log
from neurons.secrets.epochs import Epoch, Kept, keep, kept
from neurons.signals import pause
from neurons.validator.onchain.past import LANDS
from subnet.errors import ChainError, StateError
from subnet.evidence.records import COMMITMENT, CommitmentRecord
from subnet.evidence.state import StateStore
from subnet.game.epochs import SECRET_BYTES, Commitment, commit_of, dump, epoch_seed, parse, secret_of
from subnet.protocols import Chain
from subnet.types import Statement, Submission

WAIT: Final = 90.0  # seconds for which rounds wait for an epoch to begin; after them they go on uncommitted
AGAIN: Final = 5.0  # seconds after which a chain or a disk that did not answer is tried again


@dataclass(frozen=True)
class Seed:
    """What a round's plan follows from; `epoch` is None where nobody can check that it was not chosen."""

    value: int
    epoch: int | None = None


class Seeds(Protocol):
    """Where the loop has its seeds from."""

    def round(self) -> AbstractAsyncContextManager[Seed]:
        """The seed for one round, which is under way until the context ends."""

    async def turn(self, weights_at: int, *, may_send: bool) -> None:
        """Look after commitments: the last weights of ours stand since block `weights_at`, 0 for none."""

    async def finish(self, weights_at: int, stop: asyncio.Event) -> None:
        """Reveal the last epoch, if that is due."""


class Uncommitted:
    """One permanent seed, and nothing on chain."""

    def __init__(self, seed: int) -> None:
        self._seed = Seed(seed)

    @asynccontextmanager
    async def round(self) -> AsyncIterator[Seed]:
        yield self._seed

    async def turn(self, weights_at: int, *, may_send: bool) -> None:
        """Nothing to do."""

    async def finish(self, weights_at: int, stop: asyncio.Event) -> None:
        """Nothing to do."""


class Epochs:
    """Seeds by commitments on chain. `drawn` secrets hold fresh randomness; else they follow from `seed` alone."""

    def __init__(
        self,
        chain: Chain,
        view: ChainView,
        hotkey: str,
        seed: int,
        path: Path,
        store: StateStore,
        log: Log,
        *,
        netuid: int,
        recorded: int | None = None,
        drawn: bool = True,
        wait: float = WAIT,
    ) -> None:
        """Secrets lie in `path`; `recorded` is the last epoch in the journal. Raises StateError as `kept` does."""
        self._chain, self._view, self._hotkey, self._netuid = chain, view, hotkey, netuid
        self._seed, self._drawn, self._store, self._log, self._wait = seed, drawn, store, log, wait
        if recorded is not None and not path.exists():
            why = f"epoch {recorded}, which the journal tells of, can never be revealed without it: put it back"
            log.warning("the secrets of epochs are missing", path=str(path), why=why)
        self._path, self._kept = path, kept(path)
        self._recorded = recorded
        self._under_way = asyncio.Lock()  # a round, or the sending of a commitment
        self._looked = False
        self._ready = asyncio.Event()  # what the next round follows from is known
        self._await_epoch()
        self._tried: int | None = None  # `weights_at` of the last attempt
        self._not_before = 0.0
        self._settled_at = -1  # block
        self._note = ""

    @asynccontextmanager
    async def round(self) -> AsyncIterator[Seed]:
        """Waits a while where an epoch is about to begin, or the chain was not looked at yet."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), max(0.0, self._waits_until - time.monotonic()))
            async with self._under_way:
                if self._ready.is_set() or time.monotonic() >= self._waits_until:  # else we sent while it waited
                    yield self.seed
                    return

    def _await_epoch(self) -> None:
        """Rounds wait from here on, until an epoch begins."""
        self._ready.clear()
        self._waits_until = time.monotonic() + self._wait

    @property
    def seed(self) -> Seed:
        """Of a round that begins now."""
        epoch = self._kept.stands
        if not (self._looked and self._kept.open and epoch and epoch.block_hash):
            return Seed(self._seed)
        secret = bytes.fromhex(epoch.secret)
        return Seed(epoch_seed(secret, epoch.block_hash, self._netuid, self._hotkey), epoch.number)

    async def turn(self, weights_at: int, *, may_send: bool) -> None:
        """One step: look at the chain, see what became of a commitment, or send the next one. Tells of failures."""
        if time.monotonic() < self._not_before:
            return
        try:
            if not self._looked:
                await self._look()
            if may_send and self._kept.sent_at is None and self._due(weights_at) and self._between_rounds():
                async with self._under_way:
                    self._tried = weights_at
                    self._ready.set()
                    await self._commit()
            if self._kept.sent_at is not None:
                await self._settle(self._kept.sent_at)
        except (ChainError, StateError) as error:
            self._not_before, self._tried = time.monotonic() + AGAIN, None
            self._say(str(error))

    def _between_rounds(self) -> bool:
        """Whether no round is under way. Where one is, the next waits for us: did we wait for it, weights would too."""
        busy = self._under_way.locked()
        if busy and (self._ready.is_set() or time.monotonic() >= self._waits_until):
            self._await_epoch()
        return not busy

    async def finish(self, weights_at: int, stop: asyncio.Event) -> None:
        """Wait until the commitment behind the last weights stands, but not for ever."""
        ends = time.monotonic() + self._wait
        await self.turn(weights_at, may_send=True)
        while self._kept.sent_at is not None and time.monotonic() < ends and not await pause(stop, 0.1):
            await self.turn(weights_at, may_send=True)

    def _due(self, weights_at: int) -> bool:
        stands = self._kept.stands
        block = stands.block if stands and stands.block else 0
        reset = block > self._view.block + REORGANISATION
        ended = stands is None or not self._kept.open or weights_at > block or reset
        return ended and self._tried != weights_at

    async def _look(self) -> None:
        """Once, before the first round: an epoch whose commitment does not stand any more is over."""
        statement = await self._chain.commitment(self._hotkey)
        stands = self._kept.stands
        if stands and self._kept.open and (statement is None or statement.text != stands.line):
            self._log.warning("another commitment stands on chain than this state knows of", epoch=stands.number)
            self._keep(self._kept.model_copy(update={"open": False}))
        if stands and stands.number != self._recorded:
            async with self._under_way:
                self._record(stands)
        self._looked = True
        follows = self._kept.next if self._kept.sent_at is not None else None
        if follows is None or statement is None or statement.text != follows.line:
            self._ready.set()  # else an epoch is about to begin

    async def _commit(self) -> None:
        """Send the next commitment. The epoch before it is over from here on."""
        if self._store.unwritten:
            raise StateError("the journal has facts that are not on disk: a commitment would not bind them")
        statement = await self._chain.commitment(self._hotkey)
        if statement and self._kept.next and statement.text == self._kept.next.line:  # it landed after all
            self._keep(self._kept.model_copy(update={"open": False, "sent_at": statement.block}))
            return
        before, stands = _commitment(statement), self._kept.stands
        if statement and before is None and stands:
            before = parse(stands.line)  # another program's line stands in its place
        ours = stands is not None and before is not None and dump(before) == stands.line
        number = before.number + 1 if before else 0
        secret, head = self._secret(number), self._store.head
        revealed = stands.secret if ours and stands else None
        bound = commit_of(bytes.fromhex(secret), number, self._netuid, self._hotkey)
        line = dump(Commitment(number, bound, revealed, head.hash, head.seq))
        idle = self._kept.model_copy(update={"next": Epoch(number=number, secret=secret, line=line), "sent_at": None})
        self._keep(idle.model_copy(update={"open": False, "sent_at": self._view.block}))
        try:
            receipt = await self._chain.commit(line)
        except ChainError:
            self._keep(idle)  # nothing was sent: the epoch goes on
            raise
        if receipt.submission is Submission.OK:
            self._await_epoch()
        elif receipt.submission is not Submission.AMBIGUOUS:
            self._refused(f"{receipt.code}: {receipt.message}")

    def _secret(self, number: int) -> str:
        """The one that was drawn for this epoch before, or a new one, in hex."""
        if self._kept.next and self._kept.next.number == number:
            return self._kept.next.secret
        fresh = secrets.token_bytes(SECRET_BYTES) if self._drawn else b""
        return secret_of(self._seed, fresh, number, self._netuid, self._hotkey).hex()

    async def _settle(self, sent_at: int) -> None:
        """See whether the commitment stands, and the block after it is final: then its epoch begins."""
        block, epoch = self._view.block, self._kept.next
        if block == self._settled_at or epoch is None:
            return
        statement = await self._chain.commitment(self._hotkey)
        if statement is None or statement.text != epoch.line:
            if not sent_at - REORGANISATION <= block <= sent_at + LANDS:
                self._refused("it was sent, and never came to stand on chain")
                self._tried = None
        else:
            digits = await self._chain.block_hash(statement.block + 1)
            if self._ready.is_set():
                self._await_epoch()
            if digits and await self._chain.commitment(self._hotkey, at=statement.block + 1) == statement:
                if not self._between_rounds():
                    return  # a round that went on uncommitted is written down before the epoch begins
                self._begin(epoch.model_copy(update={"block": statement.block, "block_hash": digits}))
        self._settled_at = block

    def _begin(self, epoch: Epoch) -> None:
        self._keep(Kept(stands=epoch, open=True))
        self._record(epoch)
        self._ready.set()
        self._say("")
        self._log.info("an epoch begins", epoch=epoch.number, block=epoch.block)

    def _refused(self, why: str) -> None:
        epoch = self._kept.next
        self._keep(self._kept.model_copy(update={"sent_at": None}))
        self._ready.set()
        if epoch:
            self._record(epoch, why)
        self._say(why)

    def _record(self, epoch: Epoch, refused: str = "") -> None:
        said = parse(epoch.line)
        body = CommitmentRecord(
            epoch=said.number,
            commitment=said.commitment,
            revealed=said.revealed,
            head=said.head,
            seq=said.seq,
            block=epoch.block,
            block_hash=epoch.block_hash,
            refused=refused,
        )
        self._store.write(COMMITMENT, body)  # the loop tells what the disk refuses
        self._recorded = epoch.number if not refused else self._recorded

    def _keep(self, new: Kept) -> None:
        keep(self._path, new)
        self._kept = new

    def _say(self, why: str) -> None:
        """Once for every new reason, and once when it is gone."""
        before, self._note = self._note, why
        if why and why != before:
            told = "no commitment stands: rounds go on uncommitted, and it is tried again"
            self._log.warning(told if self.seed.epoch is None else "the chain or the disk does not answer", why=why)


def _commitment(statement: Statement | None) -> Commitment | None:
    """What stands on chain, None where it is no commitment to an epoch."""
    try:
        return parse(statement.text) if statement else None
    except ValueError:
        return None
