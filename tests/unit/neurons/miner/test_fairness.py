"""Taking turns: nobody is forgotten, nobody is served twice while another waits, and no bound is passed."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Sequence
from contextlib import AsyncExitStack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.miner.answering import IMAGE_PIXELS, answering, decode_challenge
from neurons.miner.fairness import FairQueue, Turns
from subnet.codec.image import encode_image
from subnet.errors import MediaError, MediaTooLarge
from subnet.types import Media, Modality, Prediction
from subnet.wire.admission import GUEST


@given(st.lists(st.sampled_from("abcd")))
def test_a_fair_queue_serves_everybody_in_turn(hotkeys: list[str]) -> None:
    """Everything comes out once, in order for each hotkey, and each turn round has every hotkey that waits once."""
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, hotkey in enumerate(hotkeys):
        queue.put(hotkey, (hotkey, number))
    served: list[tuple[str, int]] = []
    while item := queue.take():
        served.append(item)
    assert sorted(served, key=lambda item: item[1]) == list(zip(hotkeys, range(len(hotkeys)), strict=True))
    counts = {hotkey: [i for i, item in enumerate(served) if item[0] == hotkey] for hotkey in set(hotkeys)}
    for hotkey, places in counts.items():
        assert [served[i][1] for i in places] == sorted(served[i][1] for i in places)
        for turn, place in enumerate(places):
            assert place < sum(min(len(other), turn + 1) for other in counts.values()), hotkey
    assert not len(queue)


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=6))
def test_who_wants_more_than_there_is_is_served_by_weight(weights: list[float]) -> None:
    """While all lines are long, hotkeys are served in proportion to their weights, to within one turn each."""
    names = [str(number) for number in range(len(weights))]
    queue: FairQueue[str] = FairQueue(dict(zip(names, weights, strict=True)).__getitem__)
    for name in names:
        for _ in range(60):
            queue.put(name, name)
    served = [queue.take() for _ in range(60)]
    for name, weight in zip(names, weights, strict=True):
        assert abs(served.count(name) - 60 * weight / sum(weights)) <= len(weights)


@given(st.integers(1, 50), st.integers(0, 40), st.floats(1000.0, 1e6))
def test_a_validator_waits_for_no_guest(guests: int, served: int, stake: float) -> None:
    """However many guests wait, and however long that has gone on, the first request of a validator is next."""
    queue: FairQueue[str] = FairQueue(lambda hotkey: stake if hotkey == "validator" else 1e-3)
    for _ in range(3):
        for guest in range(guests):
            queue.put(f"guest {guest}", "guest")
    for _ in range(min(served, 3 * guests - 1)):
        queue.take()
    queue.put("validator", "validator")
    assert queue.take() == "validator"


@given(st.lists(st.sampled_from(["light", "heavy", "other"]), max_size=30), st.sampled_from(["light", "heavy", "new"]))
def test_who_is_displaced_would_have_been_last(hotkeys: list[str], newcomer: str) -> None:
    """A newcomer displaces the item that would be served last and no other, and none where he would be last himself."""
    weights = {"light": 0.51, "heavy": 8.3, "other": 1.07, "new": 2.9}  # no two lines end at one time
    queue, without, including = (FairQueue[int](weights.__getitem__) for _ in range(3))
    for each in (queue, without, including):
        for number, hotkey in enumerate(hotkeys):
            each.put(hotkey, number)
    including.put(newcomer, -1)
    order = list(iter(without.take, None))
    gone = queue.displace(newcomer)
    assert (gone is None) == (list(iter(including.take, None))[-1] == -1)
    if gone is not None:
        assert gone == order.pop()
    assert list(iter(queue.take, None)) == order


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=40))
def test_turns_stay_within_room_and_share_and_end(asks: list[tuple[str, int, bool]]) -> None:
    """No sum passes the room or a share, every ask gets its turn, and those that are given up leave nothing held."""
    turns, held = Turns(10, 6), dict.fromkeys("abc", 0)

    async def one(hotkey: str, cost: int) -> None:
        async with turns.turn(hotkey, cost):
            held[hotkey] += min(cost, 6)
            assert held[hotkey] <= 6
            assert sum(held.values()) <= 10
            try:
                await asyncio.sleep(0)
            finally:
                held[hotkey] -= min(cost, 6)

    async def play() -> None:
        tasks = [(asyncio.create_task(one(hotkey, cost)), gone) for hotkey, cost, gone in asks]
        await asyncio.sleep(0)
        for task, gone in tasks:
            if gone:
                task.cancel()
        results = await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        async with turns.turn("a", 6), turns.turn("b", 4):  # all of it is free again
            pass

    asyncio.run(asyncio.wait_for(play(), 5))


async def test_one_hotkey_leaves_room_for_the_next() -> None:
    """Whoever asks for everything holds his share only, so that another begins at once."""
    turns = Turns(2, 1)
    async with turns.turn("greedy"):
        waiting = asyncio.create_task(turns.turn("greedy").__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
        async with asyncio.timeout(1), turns.turn("modest"):
            pass
        waiting.cancel()


async def test_guests_leave_half_of_the_room() -> None:
    """However many of them there are, a validator's turn begins at once; alone a guest may hold more than half."""
    turns = Turns(8, 6, lambda hotkey: GUEST if hotkey.startswith("guest") else 5.0)
    async with turns.turn("guest 0", 6):
        pass
    guests = [asyncio.create_task(turns.turn(f"guest {n}").__aenter__()) for n in range(20)]
    await asyncio.sleep(0)
    assert sum(guest.done() for guest in guests) == 4
    async with asyncio.timeout(1), turns.turn("validator", 4):
        pass
    for guest in guests:
        guest.cancel()


def bomb(side: int) -> bytes:
    """A black PNG of side x side pixels, one bit each, in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    rows = zlib.compress(bytes((1 + -(-side // 8)) * side))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size * 2 + b"\x01\0\0\0\0") + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_what_is_no_challenge_is_refused_from_its_header() -> None:
    """Fifty megapixels in a few kB, and many scans, are refused in milliseconds; what a challenge may have is not."""
    huge = bomb(7071)
    began = time.process_time()
    with pytest.raises(MediaTooLarge, match="of a challenge"):
        decode_challenge(huge)
    assert time.process_time() - began < 0.02
    side = round(IMAGE_PIXELS**0.5)
    assert decode_challenge(bomb(side)).frames.shape == (1, side, side, 3)


class Plain:
    """A detector that takes a millisecond an item."""

    name, modality, weights_hash = "plain", Modality.IMAGE, ""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        time.sleep(0.001 * len(batch))
        return [Prediction(0.5)] * len(batch)


async def test_big_pictures_of_one_hotkey_do_not_starve_another() -> None:
    """While one keeps 32 of the largest pictures and worse in hand, half of another's challenges take under 0.5 s."""
    large, worse = bomb(round(IMAGE_PIXELS**0.5)), bomb(7071)
    small = encode_image(Media(np.zeros((1, 256, 256, 3), np.uint8)), 90)
    async with AsyncExitStack() as stack:
        answer = await answering(stack, {Modality.IMAGE: {"cpu": Plain()}}, 32)
        stop = False

        async def flood(body: bytes) -> None:
            while not stop:
                try:
                    await answer(Modality.IMAGE, body, "greedy")
                except MediaError:
                    await asyncio.sleep(0)

        floods = [asyncio.create_task(flood(worse if n % 2 else large)) for n in range(32)]
        await asyncio.sleep(0.2)
        seconds = []
        for _ in range(12):
            began = time.perf_counter()
            await answer(Modality.IMAGE, small, "modest")
            seconds.append(time.perf_counter() - began)
        stop = True
        await asyncio.gather(*floods)
    assert sorted(seconds)[6] < 0.5
