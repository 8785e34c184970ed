"""Whom a gateway asks, and that a question of it is one of a round."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.gateway.asking import Asking, choose, question
from subnet.codec.image import decode_image
from subnet.codec.image_header import read_header
from subnet.game.sampling import Sampling
from subnet.game.variant import render
from subnet.media.cutting import cut
from subnet.types import Failure, Media, Neuron, Prediction, Query, Reply

SAMPLING = Sampling()


def neurons(coldkeys: str) -> list[Neuron]:
    """One for each letter, which is its coldkey."""
    return [Neuron(n, f"hotkey{n}", cold, 0.0, permit=False) for n, cold in enumerate(coldkeys)]


@given(st.text("abc", min_size=1, max_size=12), st.lists(st.floats(0, 1), min_size=12, max_size=12), st.integers(0, 9))
def test_one_of_each_coldkey_first(coldkeys: str, weights: list[float], seed: int) -> None:
    """Nobody is asked twice, nobody without a weight while others have one, and coldkeys take turns."""
    rows = neurons(coldkeys)
    order = choose(rows, dict(enumerate(weights)), np.random.default_rng(seed))
    weighed = [row for row in rows if weights[row.uid] > 0] or rows
    assert sorted(order, key=lambda row: row.uid) == weighed
    counts = [sum(other.coldkey == row.coldkey for other in order[:at]) for at, row in enumerate(order)]
    assert counts == sorted(counts)


def test_chances_follow_weights() -> None:
    """Who has earned three times as much is asked first three times as often."""
    rows, rng = neurons("ab"), np.random.default_rng(0)
    first = [choose(rows, {0: 0.75, 1: 0.25}, rng)[0].uid for _ in range(2000)]
    assert np.mean(first) == pytest.approx(0.25, abs=0.03)


def test_a_question_is_made_as_a_challenge_is() -> None:
    """The same cut, level, variant and encoder from the same chance: byte for byte."""
    media = Media(np.random.default_rng(0).integers(0, 256, (1, 400, 500, 3), dtype=np.uint8))
    for seed in range(8):
        query = question([media], SAMPLING, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        rng.integers(1)
        taken = cut(media, rng).media
        level = int(rng.choice(4, p=[0.25] * 4))
        assert query.body == render(taken, level, rng)
        assert (query.content_type, query.parameters) == ("image/jpeg", {})
        header = read_header(query.body)
        assert (header.height, header.width) == (256, 256)


def test_every_miner_gets_another_one() -> None:
    """Answers about a file cannot be shared by hash."""
    media = Media(np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), dtype=np.uint8))
    digests = {question([media], SAMPLING, np.random.default_rng(seed)).digest for seed in range(20)}
    assert len(digests) == 20
    assert decode_image(question([media], SAMPLING, np.random.default_rng(1)).body).frames.shape == (1, 256, 256, 3)


class Scripted:
    """Answers after the seconds that stand with a hotkey; None fails at once."""

    def __init__(self, seconds: dict[str, float | None]) -> None:
        self.seconds, self.asked, self.ended = seconds, list[str](), list[str]()

    async def ask(self, asks: list[tuple[Neuron, Query]], deadline: float) -> list[Reply]:
        ((neuron, _),) = asks
        self.asked.append(neuron.hotkey)
        wait = self.seconds[neuron.hotkey]
        if wait is None:
            return [Reply(Failure.UNREACHABLE, 0.0)]
        await asyncio.sleep(wait)
        self.ended.append(neuron.hotkey)
        return [Reply(Prediction(0.5), wait)]


async def test_who_fails_is_replaced_and_who_is_slow_is_not_hung_up_on() -> None:
    """The answer is made in time; a slow miner's reply is heard to its end, as in a round."""
    media = Media(np.zeros((1, 256, 256, 3), np.uint8))
    transport = Scripted({"hotkey0": None, "hotkey1": 0.0, "hotkey2": 0.8, "hotkey3": 0.0})
    with ThreadPoolExecutor(2) as executor:
        asking = Asking(transport, executor, count=3, seconds=0.4, rate=100)  # type: ignore[arg-type]
        heard = await asking.ask([media], neurons("abcd"), SAMPLING)
        assert heard.said.keys() == {"hotkey1", "hotkey3"}
        assert (heard.asked, transport.asked) == (4, ["hotkey0", "hotkey1", "hotkey2", "hotkey3"])
        await asyncio.sleep(0.8)
        assert "hotkey2" in transport.ended
        await asking.close()


async def test_no_miner_is_asked_too_often() -> None:
    """Its own count of the validator's requests must not fill up: rounds would be refused, and cost it."""
    media = Media(np.zeros((1, 256, 256, 3), np.uint8))
    transport = Scripted(dict.fromkeys(("hotkey0", "hotkey1"), 0.0))
    with ThreadPoolExecutor(2) as executor:
        asking = Asking(transport, executor, count=2, seconds=1.0, rate=1.0, monotonic=lambda: 0.0)  # type: ignore[arg-type]
        counts = [(await asking.ask([media], neurons("ab"), SAMPLING)).asked for _ in range(4)]
    assert counts == [2, 2, 0, 0]


async def test_a_silent_miner_costs_no_more_than_what_is_usual() -> None:
    """Somebody else is asked in its place, no more answers are taken than wanted, and its own is heard in the end."""
    media, loop = Media(np.zeros((1, 256, 256, 3), np.uint8)), asyncio.get_running_loop()
    transport = Scripted({"hotkey0": 3.0, **{f"hotkey{n}": 0.01 for n in range(1, 9)}})
    with ThreadPoolExecutor(2) as executor:
        asking = Asking(transport, executor, count=4, seconds=20.0, rate=100)  # type: ignore[arg-type]
        for _ in range(5):
            await asking.ask([media], neurons("abcdefghi")[1:], SAMPLING)
        began = loop.time()
        heard = await asking.ask([media], neurons("abcdefghi"), SAMPLING)
        assert loop.time() - began < 2.5
        assert (len(heard.said), heard.asked, "hotkey0" in heard.said) == (4, 5, False)
        alone = await asking.ask([media], neurons("ab"), SAMPLING)
        assert alone.said.keys() == {"hotkey1"}
        assert loop.time() - began < 2.8
        await asyncio.sleep(began + 4.0 - loop.time())
        assert "hotkey0" in transport.ended
        await asking.close()


async def test_those_who_fail_and_those_who_are_silent_are_replaced_within_bounds() -> None:
    """However many there are of both, no more than twice as many are asked as are wanted, and who failed besides."""
    media = Media(np.zeros((1, 256, 256, 3), np.uint8))
    transport = Scripted({f"hotkey{n}": 9.0 for n in range(20)})
    with ThreadPoolExecutor(2) as executor:
        asking = Asking(transport, executor, count=3, seconds=1.0, rate=100)  # type: ignore[arg-type]
        heard = await asking.ask([media], neurons("abcdefghijklmnopqrst"), SAMPLING)
        await asking.close()
    assert (dict(heard.said), heard.asked) == ({}, 6)


async def test_slow_miners_are_not_asked_twice_as_often() -> None:
    """Where all are slower than they were, a quarter more is asked in the long run: what is slow for its load must not
    be given more."""
    media = Media(np.zeros((1, 256, 256, 3), np.uint8))
    transport = Scripted({f"hotkey{n}": 0.35 for n in range(12)})
    with ThreadPoolExecutor(2) as executor:
        asking = Asking(transport, executor, count=4, seconds=0.4, rate=1e6)  # type: ignore[arg-type]
        for _ in range(12):
            await asking.ask([media], neurons("abcdefghijkl"), SAMPLING)
        await asking.close()
    assert 12 * 4 < len(transport.asked) <= 12 * 4 * 1.25 + 10
