"""Micro-batching in the miner: who shares a forward pass, and what happens when one fails."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from structlog.testing import capture_logs

from neurons.miner.batching import GUESTS, Batcher, Replica
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
        async with Batcher([Replica(detector, pool, limit=16)]) as batcher:
            answers = await ask_all(batcher, 64)
    assert answers == [Prediction(n / 255) for n in range(64)]
    assert max(detector.batches) == 16
    assert len(detector.batches) <= 8


async def test_out_of_memory_halves_the_batch_and_answers_everybody() -> None:
    """A batch that does not fit is split until it does, and later batches stay small."""
    detector = Slow(memory=5)
    with ThreadPoolExecutor(1) as pool:
        async with Batcher([Replica(detector, pool)]) as batcher:
            answers = await ask_all(batcher, 32)
            assert batcher.replicas[0].limit <= 5
    assert answers == [Prediction(n / 255) for n in range(32)]


async def test_no_memory_for_one_item_is_an_error_for_that_request_alone() -> None:
    """The loop survives: nothing hangs when not even one item fits."""
    detector = Slow(memory=0)
    with ThreadPoolExecutor(1) as pool:
        async with Batcher([Replica(detector, pool)]) as batcher:
            with pytest.raises(Overloaded):
                await batcher.predict(image(1))
            detector.memory = 1
            assert await batcher.predict(image(255)) == Prediction(1.0)


async def test_too_many_waiting_are_refused_at_once() -> None:
    """A full queue refuses instead of answering late."""
    detector = Slow()
    detector.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        async with Batcher([Replica(detector, pool, limit=1)], max_waiting=4) as batcher:
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
        replica = Replica(detector, executor, limit=1)
        async with Batcher([replica], max_waiting=4, weight=lambda hotkey: weights.get(hotkey, 1e-3)) as batcher:
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
        replica = Replica(detector, executor, limit=16, seconds=GUESTS / 2)
        weight = {"validator": 1000.0}
        async with Batcher([replica], weight=lambda hotkey: weight.get(hotkey, 1e-3)) as batcher:
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
        async with Batcher([Replica(Failing(), pool)]) as batcher:
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
        async with Batcher([Replica(detector, pool)], budget=0.05) as batcher:
            await ask_all(batcher, 8)
            await ask_all(batcher, 40)
    assert max(detector.batches[1:]) <= 6


class Meeting(Slow):
    """Answers only while another replica is at work, too."""

    def __init__(self, both: threading.Barrier) -> None:
        super().__init__()
        self.both = both

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        self.both.wait(10)
        return super().predict(batch)


async def test_replicas_work_side_by_side() -> None:
    """What waits is shared by the replicas that are free, each in a thread of its own; every answer is its asker's."""
    both = threading.Barrier(2)
    first, second = Meeting(both), Meeting(both)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        async with Batcher([Replica(first, one, "cpu"), Replica(second, two, "cpu (2)")]) as batcher:
            answers = await ask_all(batcher, 8)
    assert answers == [Prediction(n / 255) for n in range(8)]
    assert first.batches == second.batches == [4]


class Broken(Slow):
    """A device that is lost after its first batch."""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        if self.batches:
            raise RuntimeError("CUDA error: the launch failed")
        return super().predict(batch)


async def test_a_replica_that_fails_is_left_out_and_nobody_notices() -> None:
    """Its batch is answered by the others, it gets no more, and it is told by its device; the last one stays."""
    bad, good = Broken(), Slow()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two, capture_logs() as logs:
        async with Batcher([Replica(bad, one, "cuda:0", 4), Replica(good, two, "cuda:1", 4)]) as batcher:
            for _ in range(3):
                assert await ask_all(batcher, 24) == [Prediction(n / 255) for n in range(24)]
            assert [replica.device for replica in batcher.replicas] == ["cuda:1"]
    (line,) = logs
    assert (line["event"], line["device"], line["serving_on"]) == ("a device is left out", "cuda:0", ["cuda:1"])
    assert "the launch failed" in line["why"]
    assert len(bad.batches) == 1


async def test_a_fault_of_the_media_leaves_replicas_where_they_are() -> None:
    """A picture that a detector chokes on fails alone: the self-test says that the device is well."""

    class Choking(Slow):
        def predict(self, batch: Sequence[Media]) -> list[Prediction]:
            if any(media.frames.shape[1] == 2 for media in batch):
                raise RuntimeError("a kernel for pictures of two pixels is not there")
            return [Prediction(0.5)] * len(batch)

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        async with Batcher([Replica(Choking(), one, "cuda:0"), Replica(Choking(), two, "cuda:1")]) as batcher:
            with pytest.raises(RuntimeError, match="two pixels"):
                await batcher.predict(image(1))
            assert len(batcher.replicas) == 2
            assert await batcher.predict(Media(np.zeros((1, 9, 9, 3), np.uint8))) == Prediction(0.5)


async def test_an_item_that_breaks_devices_breaks_two_at_most() -> None:
    """What was in the batch of one that failed is not handed on a second time: a poisoned picture ends there."""

    class Poisoned(Slow):
        lost = False

        def predict(self, batch: Sequence[Media]) -> list[Prediction]:
            self.lost = self.lost or any(media.frames[0, 0, 0, 0] == 66 for media in batch)
            if self.lost:
                raise RuntimeError("CUDA error: an illegal memory access")
            return super().predict(batch)

    with contextlib.ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(4)]
        async with Batcher([Replica(Poisoned(), each, f"cuda:{n}") for n, each in enumerate(threads)]) as batcher:
            with pytest.raises(RuntimeError, match="illegal memory"):
                await batcher.predict(image(66))
            assert len(batcher.replicas) == 2
            assert await ask_all(batcher, 4) == [Prediction(n / 255) for n in range(4)]


async def test_others_take_the_places_between_two_batches() -> None:
    """Under steady requests every one is answered; the batch in hand is the old one's, all after it are the new one's."""

    class Always(Slow):
        def __init__(self, answer: float) -> None:
            super().__init__()
            self.answer = answer

        def predict(self, batch: Sequence[Media]) -> list[Prediction]:
            super().predict(batch)
            return [Prediction(self.answer)] * len(batch)

    old, new = Always(0.25), Always(0.75)
    answers: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        async with Batcher([Replica(old, pool, limit=4)]) as batcher:

            async def ask(number: int) -> None:
                answers.append((await batcher.predict(image(0), f"hotkey {number % 5}")).p_synthetic)

            old.gate.clear()
            asking = [asyncio.create_task(ask(number)) for number in range(40)]
            await asyncio.sleep(0.05)
            replacing = asyncio.create_task(batcher.replace([Replica(new, pool, limit=4)]))
            await asyncio.sleep(0.05)
            assert not replacing.done()
            asking += [asyncio.create_task(ask(number)) for number in range(40)]
            old.gate.set()
            await replacing
            assert answers.count(0.75) == 0
            await asyncio.wait_for(asyncio.gather(*asking), 30)
    assert answers == [0.25] * 4 + [0.75] * 76


@pytest.mark.parametrize("fault", [KeyError("x"), ZeroDivisionError(), AssertionError(), RecursionError()])
async def test_no_fault_of_a_detector_ends_the_loop(fault: Exception) -> None:
    """Whatever it raises reaches those who asked, and the next are answered."""

    class Odd(Slow):
        def predict(self, batch: Sequence[Media]) -> list[Prediction]:
            if not self.batches:
                self.batches.append(0)
                raise fault
            return super().predict(batch)

    with ThreadPoolExecutor(1) as pool:
        async with Batcher([Replica(Odd(), pool)]) as batcher:
            with pytest.raises(type(fault)):
                await batcher.predict(image(1))
            assert await batcher.predict(image(51)) == Prediction(0.2)
