"""Clients that hang up: nothing more is done for them, and nothing is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from neurons.gateway.service import Room
from subnet.types import Neuron, Query, Reply
from subnet.wire.dendrite import Dendrite
from tests.unit.neurons.gateway.rig import Rig, gateway, picture, until


class Holding(Dendrite):
    """Asks nobody before it may; `asked` counts the questions."""

    def __init__(self) -> None:
        self.asked, self.may = 0, asyncio.Event()

    def over(self, real: Dendrite) -> Holding:
        self.real = real
        return self

    async def ask(self, asks: Sequence[tuple[Neuron, Query]], deadline: float) -> list[Reply]:
        self.asked += len(asks)
        await self.may.wait()
        return await self.real.ask(asks, deadline)


@pytest.fixture
async def held(tmp_path: Path, journal: Path) -> AsyncIterator[tuple[Rig, Holding]]:
    """A gateway that takes one file at a time, while one more waits."""
    holding = Holding()
    async with gateway(tmp_path, journal, room=Room(1, 1), wrap=holding.over) as rig:
        yield rig, holding


async def leave(asked: asyncio.Task[object]) -> None:
    """Hang up."""
    asked.cancel()
    await asyncio.wait({asked})


async def unspent(rig: Rig) -> None:
    async def so() -> bool:
        return [key.spent for key in rig.api.keys.all()] == [0]

    await until(so)


async def test_who_left_is_done_with(held: tuple[Rig, Holding], caplog: pytest.LogCaptureFixture) -> None:
    """While miners are asked: the place is free for the next, the quota and the Idempotency-Key as if it never came,
    and the miners' connections stay."""
    rig, holding = held
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            asked, before = asyncio.create_task(rig.post(picture(True), Idempotency_Key="one")), holding.asked

            async def begun(before: int = before) -> bool:
                return holding.asked == before + 3

            await until(begun)
            await leave(asked)
            await unspent(rig)
        holding.may.set()
        answer = await rig.post(picture(True), Idempotency_Key="one")
    assert (answer.status, "idempotency-replayed" in answer.headers) == (200, False)
    assert not caplog.records

    async def all_heard() -> bool:
        return sum(len(miner.asked) for miner in rig.miners) == holding.asked

    await until(all_heard)


async def test_who_waits_and_leaves_is_not_judged(held: tuple[Rig, Holding]) -> None:
    """Behind another's file: its place is given to the next at once, and no miner hears of it."""
    rig, holding = held
    first = asyncio.create_task(rig.post(picture(True)))

    async def begun() -> bool:
        return holding.asked == 3

    await until(begun)
    for _ in range(3):
        asked = asyncio.create_task(rig.post(picture(False)))

        async def waits() -> bool:
            return rig.api.service._room._left == 0

        await until(waits)
        assert (await rig.post(picture(True))).status == 503
        await leave(asked)

        async def left() -> bool:
            return rig.api.service._room._left == 1

        await until(left)
    holding.may.set()
    assert (await first).status == 200
    assert holding.asked == 3
