"""Micro-batching in the miner: who shares a forward pass, and what happens when one fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from neurons.miner.batching import GUESTS, Batcher
from subnet.types import Media, Modality, Prediction
from subnet.wire.axon import Overloaded


class Slow:
    """A detector that says how many items each batch had, and fails on request."""

    name, modality, weights_hash = "slow", Modality.IMAGE, ""

    def __init__(self, memory: int = 1000) -> None:
        self.batches: list[int] = []
        self.memory = memory
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        self.gate.wait(5)
        if len(batch) > self.memory:
            raise MemoryError
        self.batches.append(len(batch))
        return [Prediction(float(media.frames[0, 0, 0, 0]) / 255) for media in batch]


def image(value: int) -> Media:
    return Media(np.full((1, 2, 2, 3), value, np.uint8))


async def ask_all(batcher: Batcher, count: int) -> list[Prediction]:
    return list(await asyncio.gather(*(batcher.predict(image(n)) for n in range(count))))


async def test_each_request_gets_its_own_answer_and_batches_are_shared() -> None:
    """Sixty-four concurrent requests are answered in order, in fewer forward passes than requests."""
    detector = Slow()
    with ThreadPoolExecutor(1) as pool:
        async with Batcher(detector, pool, max_batch=16) as batcher:
            answers = await ask_all(batcher, 64)
    assert answers == [Prediction(n / 255) for n in range(64)]
    assert max(detector.batches) == 16
    assert len(detector.batches) <= 8


async def test_out_of_memory_halves_the_batch_and_answers_everybody() -> None:
    """A batch that does not fit is split until it does, and later batches stay small."""
    detector = Slow(memory=5)
    with ThreadPoolExecutor(1) as pool:
        async with Batcher(detector, pool, max_batch=32) as batcher:
            answers = await ask_all(batcher, 32)
            assert batcher.limit <= 5
    assert answers == [Prediction(n / 255) for n in range(32)]


async def test_no_memory_for_one_item_is_an_error_for_that_request_alone() -> None:
    """The loop survives: nothing hangs when not even one item fits."""
    detector = Slow(memory=0)
    with ThreadPoolExecutor(1) as pool:
        async with Batcher(detector, pool) as batcher:
            with pytest.raises(Overloaded):
                await batcher.predict(image(1))
            detector.memory = 1
            assert await batcher.predict(image(255)) == Prediction(1.0)


async def test_too_many_waiting_are_refused_at_once() -> None:
    """A full queue refuses instead of answering late."""
    detector = Slow()
    detector.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        async with Batcher(detector, pool, max_waiting=4, max_batch=1) as batcher:
            waiting = [asyncio.create_task(batcher.predict(image(0)))]
            await asyncio.sleep(0.05)
            waiting += [asyncio.create_task(batcher.predict(image(n))) for n in range(1, 5)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await asyncio.gather(*(batcher.predict(image(9)) for _ in range(5)))
            detector.gate.set()
            assert [(await task).p_synthetic for task in waiting] == [n / 255 for n in range(5)]


async def test_a_full_queue_makes_room_for_stake() -> None:
    """At ten times of what can wait, the requests of a validator displace those without stake, which are Overloaded."""
    detector = Slow()
    detector.gate.clear()
    weights = {"validator": 1000.0}
    with ThreadPoolExecutor(1) as executor:
        async with Batcher(
            detector, executor, max_batch=1, max_waiting=4, weight=lambda hotkey: weights.get(hotkey, 1e-3)
        ) as batcher:
            guests = [asyncio.create_task(batcher.predict(image(0), f"guest {n % 7}")) for n in range(40)]
            await asyncio.sleep(0.05)
            asked = [asyncio.create_task(batcher.predict(image(255), "validator")) for _ in range(4)]
            await asyncio.sleep(0.05)
            with pytest.raises(Overloaded):
                await batcher.predict(image(0), "late guest")
            detector.gate.set()
            assert [(await task).p_synthetic for task in asked] == [1.0] * 4
            results = await asyncio.gather(*guests, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 39  # one was with the detector


async def test_guests_neither_share_a_validators_batch_nor_run_long() -> None:
    """Whoever has standing waits for one short batch of guests at most, and is judged without them."""
    detector = Slow()
    detector.gate.clear()
    with ThreadPoolExecutor(1) as executor:
        async with Batcher(
            detector, executor, max_batch=16, weight=lambda hotkey: 1e-3 if hotkey.startswith("guest") else 1000.0
        ) as batcher:
            batcher._seconds = GUESTS / 2  # an item
            guests = [asyncio.create_task(batcher.predict(image(0), f"guest {n}")) for n in range(40)]
            await asyncio.sleep(0.05)
            asked = [asyncio.create_task(batcher.predict(image(255), "validator")) for _ in range(3)]
            await asyncio.sleep(0.05)
            detector.gate.set()
            assert [(await task).p_synthetic for task in asked] == [1.0] * 3
            first, second, *_ = detector.batches
            await asyncio.gather(*guests)
    assert (first, second) == (2, 3)


async def test_a_failing_batch_does_not_end_the_loop() -> None:
    """What the detector raises reaches its callers; the next request is answered."""

    class Failing(Slow):
        def predict(self, batch: Sequence[Media]) -> list[Prediction]:
            if not self.batches:
                self.batches.append(0)
                raise RuntimeError("device lost")
            return super().predict(batch)

    with ThreadPoolExecutor(1) as pool:
        async with Batcher(Failing(), pool) as batcher:
            with pytest.raises(RuntimeError, match="device lost"):
                await batcher.predict(image(1))
            assert await batcher.predict(image(51)) == Prediction(0.2)


async def test_batches_fit_the_latency_budget() -> None:
    """When items are slow, batches shrink so that nobody waits longer than the budget for company."""

    class Steady(Slow):
        def predict(self, batch: Sequence[Media]) -> list[Prediction]:
            threading.Event().wait(0.01 * len(batch))
            return super().predict(batch)

    detector = Steady()
    with ThreadPoolExecutor(1) as pool:
        async with Batcher(detector, pool, max_batch=32, budget=0.05) as batcher:
            await ask_all(batcher, 8)
            await ask_all(batcher, 40)
    assert max(detector.batches[1:]) <= 6
