"""Several nodes: the next one is dialled when one fails, and none that refuses is hammered."""

from __future__ import annotations

import asyncio
import time

import pytest

from subnet.chain.bittensor import BittensorChain
from subnet.chain.devnode.keys import seeded
from subnet.chain.devnode.node.faults import Faults
from subnet.errors import ChainError, SettingsError
from tests.contract.chain_worlds import node_world

NOBODY = "ws://127.0.0.1:9"


async def test_the_next_node_answers_where_the_first_does_not() -> None:
    """At the start, when the connection breaks, and when a node falls silent: no call is lost."""
    genesis = seeded(validators=1, miners=1)
    async with node_world(genesis) as one, node_world(genesis) as two:
        await two.node.produce(7)
        chain = BittensorChain(f"{NOBODY}, {one.node.endpoint},{two.node.endpoint}", 1, call_deadline=6.0)
        assert await chain.block() == 0
        one.node.faults = Faults(stall=True)
        assert await chain.block() == 7
        await two.node.stop()
        one.node.faults = Faults()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await chain.block() == 0
                    break
                except ChainError:
                    continue
        await chain.close()


async def test_a_node_that_refuses_is_tried_once_a_second() -> None:
    """However fast the caller asks again."""
    dialled = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    chain, began = BittensorChain(f"ws://127.0.0.1:{port}", 1), time.monotonic()
    while time.monotonic() < began + 2.5:
        with pytest.raises(ChainError):
            await chain.block()
    took = time.monotonic() - began
    assert 2 <= dialled <= 2 * (took + 1)  # the client itself tries twice
    server.close()
    await chain.close()


@pytest.mark.parametrize("wrong", ["ws://127.0.0.1:9,finny", "ws://127.0.0.1:9,"])
def test_each_address_is_checked(wrong: str) -> None:
    """The one that is none is named."""
    with pytest.raises(SettingsError, match=repr(wrong.split(",")[1])):
        BittensorChain(wrong, 1)
