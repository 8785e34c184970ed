"""Chains to hold to one contract: in memory, and the SDK against a development node in the same event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from subnet.chain.bittensor import BittensorChain
from subnet.chain.devnode.keys import keypair
from subnet.chain.devnode.ledger.genesis import Genesis
from subnet.chain.devnode.node.server import Node, devnode
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.protocols import Chain


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that comes soon; AssertionError when it does not."""
    for _ in range(round(seconds * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("what was waited for did not come")


class World(Protocol):
    """A chain of either kind: views of it by key, and its time."""

    def chain(self, uri: str, **settings: Any) -> Chain: ...

    async def weights_at(self, uid: int, block: int) -> dict[int, int]: ...

    async def advance(self, blocks: int) -> None: ...

    async def followed(self) -> None:
        """Wait until somebody waits for blocks."""


@dataclass
class MemoryWorld:
    subnet: MemorySubnet

    def chain(self, uri: str, **settings: Any) -> MemoryChain:
        return MemoryChain(self.subnet, keypair(uri).ss58_address, **settings)

    async def weights_at(self, uid: int, block: int) -> dict[int, int]:
        return await self.chain("//Val0").weights(uid, at=block)

    async def advance(self, blocks: int) -> None:
        await self.subnet.advance(blocks)

    async def followed(self) -> None:
        await asyncio.sleep(0.05)


@dataclass
class NodeWorld:
    node: Node
    opened: list[BittensorChain]

    def chain(self, uri: str, **settings: Any) -> BittensorChain:
        deadlines = {"call_deadline": 5.0, "submit_deadline": 5.0, "watchdog": 5.0} | settings
        chain = BittensorChain(self.node.endpoint, self.node.chain.head.state.netuid, keypair(uri), **deadlines)
        self.opened.append(chain)
        return chain

    async def weights_at(self, uid: int, block: int) -> dict[int, int]:
        return await self.chain("//Val0").weights(uid, at=block)

    async def advance(self, blocks: int) -> None:
        await self.node.produce(blocks)

    async def followed(self) -> None:
        await until(lambda: self.node.followers > 0)


@asynccontextmanager
async def memory_world(genesis: Genesis) -> AsyncIterator[MemoryWorld]:
    yield MemoryWorld(MemorySubnet(genesis))


@asynccontextmanager
async def node_world(genesis: Genesis) -> AsyncIterator[NodeWorld]:
    async with devnode(genesis, instant=True) as node:
        world = NodeWorld(node, [])
        try:
            yield world
        finally:
            for chain in world.opened:
                await chain.close()


Worlds = Callable[[Genesis], AbstractAsyncContextManager[World]]
