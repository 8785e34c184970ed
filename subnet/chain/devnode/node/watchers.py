"""Who is told of new blocks and of the fate of transactions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from subnet.chain.devnode.node.chain import DevChain
from subnet.chain.devnode.node.rpc import header
from subnet.chain.devnode.runtime.block import Block


@dataclass(frozen=True, eq=False)
class Watch:
    """Someone who follows one transaction (by hash), or the heads, or the finalized heads."""

    socket: ServerConnection
    id: str
    extrinsic: str | None = None
    finalized: bool = False


class Watchers:
    """The open subscriptions of all connections."""

    def __init__(self, chain: DevChain) -> None:
        self._chain = chain
        self._watches: list[Watch] = []
        self._included: list[tuple[Block, Watch]] = []  # waiting for finality
        self._finalized = 0

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, watch: Watch) -> str:
        """Begin; returns the subscription's id."""
        self._watches.append(watch)
        return watch.id

    def remove(self, id: str) -> bool:
        """End a subscription; whether it was there."""
        before = len(self._watches)
        self._watches = [watch for watch in self._watches if watch.id != id]
        return len(self._watches) < before

    def forget(self, socket: ServerConnection) -> None:
        """End all of a connection's."""
        self._watches = [watch for watch in self._watches if watch.socket is not socket]
        self._included = [pair for pair in self._included if pair[1].socket is not socket]

    def clear(self) -> None:
        """End all."""
        self._watches, self._included = [], []

    async def announce(self, block: Block) -> None:
        """Tell of a new block: followers of its transactions, of the heads, and of what is final with it."""
        hashes = {extrinsic.hash for extrinsic in block.extrinsics}
        for watch in list(self._watches):
            if watch.extrinsic in hashes:
                self.remove(watch.id)
                self._included.append((block, watch))
                await self._notify(watch, "author_extrinsicUpdate", {"inBlock": block.hex})
            elif watch.extrinsic is None and not watch.finalized:
                await self._notify(watch, "chain_newHead", header(block))
        await self._finalize()

    async def _finalize(self) -> None:
        final = self._chain.finalized.number
        for block, watch in [pair for pair in self._included if pair[0].number <= final]:
            await self._notify(watch, "author_extrinsicUpdate", {"finalized": block.hex})
        self._included = [pair for pair in self._included if pair[0].number > final]
        if final > self._finalized:
            self._finalized = final
            for watch in [watch for watch in self._watches if watch.finalized]:
                await self._notify(watch, "chain_finalizedHead", header(self._chain.finalized))

    async def _notify(self, watch: Watch, method: str, result: Any) -> None:
        if self._chain.faults.stall:
            return
        frame = {"jsonrpc": "2.0", "method": method, "params": {"subscription": watch.id, "result": result}}
        try:
            await watch.socket.send(json.dumps(frame))
        except ConnectionClosed:
            self.forget(watch.socket)
