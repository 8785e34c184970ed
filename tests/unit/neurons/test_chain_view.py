"""The view that a program has of the chain, when the chain is another one than before."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from neurons import chain_view
from neurons.chain_view import ChainView, first_snapshot
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.devnode.ledger.state import Row
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import ChainError
from subnet.types import Snapshot


async def test_a_chain_that_comes_back_lower_is_followed() -> None:
    """Snapshots of a chain that was reset are read from its first new block on, long before its old height."""
    old, young = (MemorySubnet(Genesis(34, (GenesisNeuron("v", "v"),), Rules(tempo=5))) for _ in range(2))
    await old.advance(300)
    chain = MemoryChain(old, "v", watchdog=0.05)
    view, stop = ChainView(chain, structlog.get_logger()), asyncio.Event()
    await view.refresh()
    assert view.block == 300
    chain.subnet = young
    following = asyncio.create_task(view.follow(stop))
    async with asyncio.timeout(10):
        while view.snapshot is None or view.snapshot.block == 300:
            await young.advance()
            await asyncio.sleep(0.02)
    assert 0 < view.snapshot.block <= view.block <= young.block < 300
    stop.set()
    await young.advance()
    await following


async def test_a_node_that_lags_takes_no_block_back() -> None:
    """Neither by a snapshot nor by a head: what waits for a block would otherwise come too early."""
    ahead, behind = (MemorySubnet(Genesis(34, (GenesisNeuron("v", "v"),), Rules(tempo=5))) for _ in range(2))
    await ahead.advance(30)
    await behind.advance(25)
    chain = MemoryChain(ahead, "v", watchdog=5)
    view, stop = ChainView(chain, structlog.get_logger()), asyncio.Event()
    await view.refresh()
    chain.subnet = behind
    await view.refresh()
    assert view.block == 30
    following = asyncio.create_task(view.follow(stop))
    await asyncio.sleep(0.05)
    await behind.advance()
    await asyncio.sleep(0.05)
    assert (behind.block, view.block) == (26, 30)
    stop.set()
    await behind.advance()
    await following


async def test_what_a_fork_takes_back_is_not_played_by() -> None:
    """A hotkey that was registered in a block which is undone is in no snapshot: `assay verify` could not find it."""
    subnet = MemorySubnet(Genesis(34, (GenesisNeuron("v", "v"),), Rules(tempo=50)), finality_lag=2)
    await subnet.advance(10)
    view = ChainView(MemoryChain(subnet, "v"), structlog.get_logger())
    came = Row(hotkey="lost", coldkey="c", registered_at=11)
    await subnet.apply(lambda state, block: replace(state, rows=(*state.rows, came)))
    assert [n.hotkey for n in (await view.refresh()).neurons] == ["v"]
    subnet.fork(10)
    await subnet.advance(3)
    snapshot = await view.refresh()
    assert (snapshot.block, [n.hotkey for n in snapshot.neurons]) == (11, ["v"])


async def test_snapshots_are_read_every_few_heads() -> None:
    """Also where the last final block lies so far back that its snapshot seems old when it is read."""
    subnet = MemorySubnet(Genesis(34, (GenesisNeuron("v", "v"),), Rules(tempo=50)), finality_lag=6)
    await subnet.advance(20)
    chain, stop, blocks = MemoryChain(subnet, "v", watchdog=5), asyncio.Event(), set[int]()
    view = ChainView(chain, structlog.get_logger(), every=5)
    following = asyncio.create_task(view.follow(stop))
    for _ in range(12):
        await asyncio.sleep(0.01)
        await subnet.advance()
        await asyncio.sleep(0.01)
        blocks |= {view.snapshot.block} if view.snapshot else set()
    assert blocks == {15, 20, 25}
    stop.set()
    await subnet.advance()
    await following


async def test_a_chain_that_is_silent_at_the_start_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each reason, not for each try, and one when it answers."""
    answers = iter(["refused", "refused", "silent", "refused", "refused"])

    class Late(ChainView):
        async def refresh(self) -> Snapshot:
            if why := next(answers, ""):
                raise ChainError(why)
            return await super().refresh()

    async def at_once(stop: asyncio.Event, seconds: float) -> bool:
        return stop.is_set()

    monkeypatch.setattr(chain_view, "pause", at_once)
    subnet = MemorySubnet(Genesis(34, (GenesisNeuron("v", "v"),), Rules(tempo=50)))
    log = structlog.get_logger()
    with capture_logs() as lines:
        assert await first_snapshot(Late(MemoryChain(subnet, "v"), log), asyncio.Event(), log, patience=60)
    told = [line.get("error", line.get("why")) for line in lines if line["event"] == "the chain does not answer yet"]
    assert told == ["refused", "silent", "mended"]
