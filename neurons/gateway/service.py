"""From a file to a detection: decode, ask miners, put their answers together. All ways into the gateway share it."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

import numpy as np

from neurons.chain_view import ChainView
from neurons.gateway.asking import Asking, choose
from neurons.gateway.judgement.aggregation import Caution, aggregate
from neurons.gateway.judgement.past import Known, Past
from neurons.gateway.requests.problems import Kind, Refusal
from neurons.gateway.requests.uploads import Upload, decoded
from neurons.gateway.schemas import Detection, MinerAnswer
from neurons.log import Log
from neurons.signals import pause
from subnet.codec.sandbox import VideoDecoder
from subnet.errors import StateError
from subnet.game.sampling import eligible
from subnet.game.scoring import weights
from subnet.types import Media, Modality, Neuron, Snapshot

STALE: Final = 600.0  # seconds after which what the chain said is too old to ask by
REFRESH: Final = 5.0  # seconds between two looks at the journal and the gateway's own records
SILENCE: Final = 60.0  # seconds for which a file that nobody answered speaks for the next ones


class Room:
    """`at_once` are let in at a time, `waiting` more may wait; others are refused."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._turns, self._left = asyncio.Semaphore(at_once), at_once + waiting

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One's turn. Raises Refusal where too many wait."""
        if self._left <= 0:
            raise Refusal(Kind.BUSY, "too many files are in work; send it again later", 2.0)
        self._left -= 1
        try:
            async with self._turns:
                yield
        finally:
            self._left += 1


@dataclass(frozen=True)
class Parts:
    """What a service works with. `executor` decodes and encodes, `view` follows the chain, `hotkey` asks."""

    hotkey: str
    view: ChainView
    past: Past
    asking: Asking
    clips: VideoDecoder
    executor: Executor
    caution: Caution = Caution()
    check: Callable[[], object] = lambda: None  # raises StateError where the gateway's own records cannot be used


class Service:
    """Judges files by what the validator `hotkey` knows. `follow` keeps that fresh."""

    def __init__(self, parts: Parts, log: Log, room: Room) -> None:
        self._parts, self._log, self._room = parts, log, room
        self._known: Known | None = None
        self._damage = "the journal has not been read yet"
        self._unusable = ""
        self._unanswered = -math.inf  # when a file was last asked about in vain, unless another was answered since

    def faults(self) -> list[str]:
        """Why files are not judged now, for anybody to read; none when all is well."""
        found, snapshot, known = self._blocks(), self._parts.view.snapshot, self._known
        if snapshot is not None and known is not None and not self._serving(snapshot, known):
            found.append("no miner serves on this subnet")
        elif time.monotonic() < self._unanswered + SILENCE:
            found.append("no miner answered about the last file")
        return [*found, self._unusable] if self._unusable else found

    def _blocks(self) -> list[str]:
        """Why no miner can be asked."""
        found = [self._damage] if self._damage else []
        snapshot = self._parts.view.snapshot
        if snapshot is None or self._parts.view.age > STALE:
            return [*found, "the chain has not been heard for too long"]
        asker = snapshot.neuron(self._parts.hotkey)
        if asker is None or not asker.permit:
            found.append("the gateway's hotkey has no validator permit, and miners answer no other")
        return found

    async def refresh(self) -> None:
        """Look at the journal, and whether the gateway's own records can be used."""
        await asyncio.gather(self._read_journal(), self._check_records())

    async def _check_records(self) -> None:
        try:
            await asyncio.to_thread(self._parts.check)
        except StateError:  # logged by those who needed them
            self._unusable = "the gateway's own records cannot be used"
        else:
            self._unusable = ""

    async def _read_journal(self) -> None:
        try:
            self._known = await asyncio.to_thread(self._parts.past.refresh)
            damage = ""
        except StateError as error:
            damage = "the validator's journal cannot be read"
            if self._damage != damage:
                self._log.error("the journal cannot be read", error=str(error))
        if self._damage == "the validator's journal cannot be read" and not damage:
            self._log.info("the journal reads again")
        self._damage = damage

    async def follow(self, stop: asyncio.Event) -> None:
        """`refresh` every few seconds until `stop`."""
        while not await pause(stop, REFRESH):
            await self.refresh()

    async def detect(self, upload: Upload, *, each: bool, clock: Callable[[], float] = time.monotonic) -> Detection:
        """What miners say of a file, with `each` one's own words. Raises Refusal.

        Pictures take turns; clips come one at a time anyway, out of a queue of their own.
        """
        start = clock()
        async with self._room.turn() if upload.modality is Modality.IMAGE else nullcontext():
            self._miners()  # before anything is decoded for nobody
            loop = asyncio.get_running_loop()
            media = await loop.run_in_executor(self._parts.executor, decoded, upload, self._parts.clips)
            return await self._judge(media, each, lambda: clock() - start)

    async def _judge(self, media: tuple[Media, ...], each: bool, seconds: Callable[[], float]) -> Detection:
        known, order = self._miners()
        heard = await self._parts.asking.ask(media, order, known.sampling)
        self._unanswered = -math.inf if heard.said or not heard.asked else time.monotonic()
        if not heard.said:
            why = f"none of the {heard.asked} miners asked gave an answer" if heard.asked else "all miners are busy"
            raise Refusal(Kind.NO_ANSWER, f"{why}; send it again later", 5.0)
        modality = media[0].modality
        skills = known.skills[modality]
        result = aggregate(heard.said, skills, self._parts.caution)
        told = [
            MinerAnswer(hotkey=hotkey, p_synthetic=p, weight=result.weights[hotkey])
            for hotkey, p in sorted(heard.said.items())
        ]
        return Detection(
            id=f"det_{secrets.token_urlsafe(12)}",
            modality=modality,
            verdict=result.verdict,
            p_synthetic=result.p_synthetic,
            interval=(result.low, result.high),
            agreement=result.agreement,
            asked=heard.asked,
            answered=len(heard.said),
            measured_on=skills.ballots,
            seconds=round(seconds(), 3),
            miners=told if each else None,
        )

    def _miners(self) -> tuple[Known, list[Neuron]]:
        """What is known, and whom to ask in which order. Raises Refusal where nothing can be judged."""
        snapshot, known = self._parts.view.snapshot, self._known
        if (faults := self._blocks()) or snapshot is None or known is None:
            raise Refusal(Kind.NOT_READY, f"{'; '.join(faults)}; send it again later", 30.0)
        serving = self._serving(snapshot, known)
        earned = weights(known.history, serving, known.stake_limit)
        if not serving:
            raise Refusal(Kind.NO_ANSWER, "no miner serves on this subnet now; send it again later", 30.0)
        return known, choose(serving, earned, np.random.default_rng(secrets.randbits(128)))

    def _serving(self, snapshot: Snapshot, known: Known) -> list[Neuron]:
        miners = eligible(snapshot, known.history, self._parts.hotkey, known.stake_limit)
        return [neuron for neuron in miners if neuron.endpoint]
