"""Dynamic micro-batching: concurrent requests to one detector share its forward passes.

A batch starts as soon as the detector is free and holds whatever is waiting by then, at most as many as it can predict
within the latency budget; an idle detector never waits for company longer than `linger`. Out of memory halves the
batch for good and tries again, so that one large batch cannot take a miner down.

Guests are judged when nobody with standing waits, and no more of them at once than take GUESTS: a batch that runs
cannot be stopped, and a validator who comes meanwhile waits for its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from types import TracebackType

from neurons.miner.fairness import FairQueue, Weight, alike
from subnet.errors import SubnetError
from subnet.protocols import Detector
from subnet.types import Media, Prediction
from subnet.wire.admission import GUEST
from subnet.wire.axon import Overloaded

_SMOOTHING = 0.2
GUESTS = 0.01  # seconds that a batch of guests may take, where one item does not take longer


class Batcher:
    """Serves one detector. `budget` and `linger` in seconds; predictions run in `executor`, one batch at a time."""

    def __init__(
        self,
        detector: Detector,
        executor: Executor,
        *,
        max_batch: int = 32,
        max_waiting: int = 512,
        budget: float = 2.0,
        linger: float = 0.002,
        weight: Weight = alike,
    ) -> None:
        self.detector = detector
        self.limit = max_batch
        self.batches = self.items = 0
        self._executor, self._budget, self._linger, self._max_waiting = executor, budget, linger, max_waiting
        self._waiting: FairQueue[tuple[Media, asyncio.Future[Prediction]]] = FairQueue(weight)
        self._weight = weight
        self._arrived = asyncio.Event()
        self._seconds = 0.0  # per item, smoothed
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Batcher:
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        while entry := self._waiting.take():
            entry[1].cancel()

    async def predict(self, media: Media, hotkey: str = "") -> Prediction:
        """The detector's answer to `hotkey`, in turn with the others who wait.

        Raises Overloaded when too many are waiting and this would be the last of them, or is by the time another comes;
        and what the detector raises.
        """
        if len(self._waiting) >= self._max_waiting:
            full = Overloaded(f"{len(self._waiting)} requests are waiting for {self.detector.name}")
            last = self._waiting.displace(hotkey)
            if last is None:
                raise full
            if not last[1].done():
                last[1].set_exception(full)
        future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._waiting.put(hotkey, (media, future))
        self._arrived.set()
        return await future

    @property
    def size(self) -> int:
        """How many items the next batch may hold: what fits into the latency budget, and never none."""
        return max(1, min(self.limit, int(self._budget / self._seconds) if self._seconds else self.limit))

    async def _serve(self) -> None:
        while True:
            await self._arrived.wait()
            if len(self._waiting) < self.size:
                await asyncio.sleep(self._linger)
            batch = self._next()
            if not self._waiting:
                self._arrived.clear()
            await self._answer([entry for entry in batch if not entry[1].cancelled()])

    def _next(self) -> list[tuple[Media, asyncio.Future[Prediction]]]:
        """Those who have standing, else some guests."""
        batch = [entry for _ in range(self.size) if (entry := self._waiting.take(self._stands))]
        guests = max(1, min(self.size, int(GUESTS / self._seconds))) if self._seconds else 1
        return batch or [entry for _ in range(guests) if (entry := self._waiting.take())]

    def _stands(self, hotkey: str, entry: tuple[Media, asyncio.Future[Prediction]]) -> bool:
        return self._weight(hotkey) > GUEST

    async def _answer(self, batch: Sequence[tuple[Media, asyncio.Future[Prediction]]]) -> None:
        if not batch:
            return
        loop, started = asyncio.get_running_loop(), time.monotonic()
        try:
            predictions = await loop.run_in_executor(
                self._executor, self.detector.predict, [media for media, _ in batch]
            )
        except MemoryError:
            await self._halve(batch)
        except (SubnetError, RuntimeError, ValueError, OSError) as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            self.batches, self.items = self.batches + 1, self.items + len(batch)
            each = (time.monotonic() - started) / len(batch)
            self._seconds = each if not self._seconds else (1 - _SMOOTHING) * self._seconds + _SMOOTHING * each
            for (_, future), prediction in zip(batch, predictions, strict=True):
                if not future.done():
                    future.set_result(prediction)

    async def _halve(self, batch: Sequence[tuple[Media, asyncio.Future[Prediction]]]) -> None:
        if len(batch) == 1:
            batch[0][1].set_exception(Overloaded(f"{self.detector.name} has no memory for a single item"))
            return
        self.limit = half = max(1, len(batch) // 2)
        await self._answer(batch[:half])
        await self._answer(batch[half:])
