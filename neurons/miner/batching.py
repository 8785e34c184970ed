"""Dynamic micro-batching: concurrent requests to one detector share its forward passes.

A detector has one or more replicas, each on a device of its own. Whichever is free takes a batch of what waits by
then: its share among the free ones, at most as many as it can predict within the latency budget; an idle replica never
waits for company longer than `linger`. Out of memory halves its batches for good and tries again, so that one large
batch cannot take a miner down. A replica that fails, also in its self-test, is left out while there are others, and its
batch is theirs. Other replicas take the places of all between two batches, so that no request is lost.

Guests are judged when nobody with standing waits, and no more of them at once than take GUESTS: a batch that runs
cannot be stopped, and a validator who comes meanwhile waits for its end.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import structlog

from detectors.evaluation.self_test import self_test
from neurons.log import Log
from neurons.miner.fairness import FairQueue, Weight, alike
from subnet.errors import MediaError
from subnet.protocols import Detector
from subnet.types import Media, Prediction
from subnet.wire.admission import GUEST
from subnet.wire.axon import Overloaded

_SMOOTHING: Final = 0.2
GUESTS: Final = 0.01  # seconds that a batch of guests may take, where one item does not take longer
HANGS: Final = 60.0  # seconds after which nobody waits for a batch in hand
_log: Log = structlog.get_logger(program="miner")


@dataclass(eq=False)
class Replica:
    """A detector on a device. It runs in `executor`, which has one thread: `seconds` per item there, smoothed."""

    detector: Detector
    executor: Executor
    device: str = "cpu"
    limit: int = 32
    seconds: float = 0.0


@dataclass(eq=False)
class _Entry:
    hotkey: str
    media: Media
    answer: asyncio.Future[Prediction]
    moved: bool = False  # its batch came back from a replica that failed


class Batcher:
    """Serves one detector by its replicas. `budget` and `linger` in seconds."""

    def __init__(
        self,
        replicas: Iterable[Replica],
        *,
        max_waiting: int = 512,
        budget: float = 2.0,
        linger: float = 0.002,
        weight: Weight = alike,
    ) -> None:
        self.replicas = tuple(replicas)
        self.batches = self.items = 0
        self._budget, self._linger, self._max_waiting = budget, linger, max_waiting
        self._waiting: FairQueue[_Entry] = FairQueue(weight)
        self._weight = weight
        self._arrived = asyncio.Event()
        self._busy: set[Replica] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Batcher:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while entry := self._waiting.take():
            entry.answer.cancel()

    async def predict(self, media: Media, hotkey: str = "") -> Prediction:
        """The detector's answer to `hotkey`, in turn with the others who wait.

        Raises Overloaded when too many are waiting and this would be the last of them, or is by the time another comes;
        and what the detector raises.
        """
        if len(self._waiting) >= self._max_waiting:
            full = Overloaded(f"{len(self._waiting)} requests are waiting for a detector")
            last = self._waiting.displace(hotkey)
            if last is None:
                raise full
            if not last.answer.done():
                last.answer.set_exception(full)
        entry = _Entry(hotkey, media, asyncio.get_running_loop().create_future())
        self._put(entry)
        return await entry.answer

    async def replace(self, replicas: Iterable[Replica]) -> None:
        """From the next batch on these serve. Batches in hand come to their end before, and all others wait.

        Nothing is awaited between their beginning and the return, so whoever called knows first who answers.
        """
        self.replicas = ()
        self._arrived.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HANGS)
        self.replicas = tuple(replicas)
        self._start()

    def _start(self) -> None:
        if not self._waiting:
            self._arrived.clear()
        for replica in self.replicas:
            task = asyncio.create_task(self._serve(replica))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _put(self, entry: _Entry) -> None:
        self._waiting.put(entry.hotkey, entry)
        self._arrived.set()

    def size(self, replica: Replica) -> int:
        """How many items its next batch may hold: what fits into the latency budget, and never none."""
        return max(1, min(replica.limit, int(self._budget / replica.seconds) if replica.seconds else replica.limit))

    async def _serve(self, replica: Replica) -> None:
        while True:
            await self._arrived.wait()
            if len(self._waiting) < self.size(replica):
                await asyncio.sleep(self._linger)
            if replica not in self.replicas:
                return
            batch = self._next(replica)
            if not self._waiting:
                self._arrived.clear()
            self._busy.add(replica)
            await self._answer(replica, [entry for entry in batch if not entry.answer.cancelled()])
            self._busy.remove(replica)

    def _next(self, replica: Replica) -> list[_Entry]:
        """Those who have standing, else some guests; a share of them where other replicas are free, too."""
        free = len(self.replicas) - len(self._busy.intersection(self.replicas))
        size = min(self.size(replica), math.ceil(len(self._waiting) / free))
        batch = [entry for _ in range(size) if (entry := self._waiting.take(self._stands))]
        guests = max(1, min(size, int(GUESTS / replica.seconds))) if replica.seconds else 1
        return batch or [entry for _ in range(guests) if (entry := self._waiting.take())]

    def _stands(self, hotkey: str, entry: _Entry) -> bool:
        return self._weight(hotkey) > GUEST

    async def _answer(self, replica: Replica, batch: Sequence[_Entry]) -> None:
        if not batch:
            return
        loop, started = asyncio.get_running_loop(), time.monotonic()
        media = [entry.media for entry in batch]
        work = loop.run_in_executor(replica.executor, replica.detector.predict, media)
        await asyncio.wait({work}, timeout=HANGS)
        error = work.exception() if work.done() else TimeoutError(f"no answer within {HANGS:g} s")
        if isinstance(error, MemoryError):
            await self._halve(replica, batch)
        elif error is not None:
            await self._fail(replica, batch, error)
        else:
            self.batches, self.items = self.batches + 1, self.items + len(batch)
            each = (time.monotonic() - started) / len(batch)
            before = replica.seconds or each
            replica.seconds = (1 - _SMOOTHING) * before + _SMOOTHING * each
            for entry, prediction in zip(batch, work.result(), strict=True):
                if not entry.answer.done():
                    entry.answer.set_result(prediction)

    async def _halve(self, replica: Replica, batch: Sequence[_Entry]) -> None:
        if len(batch) == 1:
            if not batch[0].answer.done():
                batch[0].answer.set_exception(Overloaded(f"{replica.detector.name} has no memory for a single item"))
            return
        replica.limit = half = max(1, len(batch) // 2)
        await self._answer(replica, batch[:half])
        await self._answer(replica, batch[half:])

    async def _fail(self, replica: Replica, batch: Sequence[_Entry], error: BaseException) -> None:
        """The fault is told to who asked, unless it is the device's and others can answer: then it is left out."""
        broken = len(self.replicas) > 1 and await self._broken(replica, error)
        if broken and len(self.replicas) > 1:
            self.replicas = tuple(other for other in self.replicas if other is not replica)
            left = [other.device for other in self.replicas]
            _log.error("a device is left out", device=replica.device, why=str(error), serving_on=left)
        for entry in batch:
            if entry.answer.done():
                continue
            if broken and not entry.moved:
                entry.moved = True
                self._put(entry)
            else:
                entry.answer.set_exception(error)

    async def _broken(self, replica: Replica, error: BaseException) -> bool:
        """Whether a replica that failed is to blame, and not what it was given."""
        if isinstance(error, MediaError | Overloaded | TimeoutError):
            return isinstance(error, TimeoutError)
        test = asyncio.get_running_loop().run_in_executor(replica.executor, self_test, replica.detector)
        await asyncio.wait({test}, timeout=HANGS)
        return not test.done() or test.exception() is not None
