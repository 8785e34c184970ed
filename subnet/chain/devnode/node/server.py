"""The node: websocket JSON-RPC over a chain, and the clock that makes its blocks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from subnet.chain.devnode.ledger.genesis import Genesis
from subnet.chain.devnode.node.chain import DevChain
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.node.rpc import INVALID_PARAMS, INVALID_TRANSACTION, SERVER_ERROR, Queries, RpcError
from subnet.chain.devnode.node.store import Store
from subnet.chain.devnode.node.watchers import Watch, Watchers
from subnet.chain.devnode.runtime.block import Block
from subnet.chain.devnode.runtime.extrinsics import InvalidTransaction, UnsupportedCall
from subnet.chain.devnode.runtime.metadata import read_metadata

MAX_FRAME = 2**26
CLOSE_SECONDS = 0.5  # that a client has to say goodbye
HEADS = ("chain_subscribeNewHeads", "chain_subscribeNewHead", "chain_subscribeAllHeads")
FINALIZED = ("chain_subscribeFinalizedHeads", "chain_subscribeFinalisedHeads")


class _Drop(Exception):
    """Close the connection instead of answering."""


class Node:
    """A development node. `block_ms` 0 means no clock: blocks come by `produce`, or at once when `instant`."""

    def __init__(
        self,
        chain: DevChain,
        *,
        block_ms: int = 0,
        instant: bool = False,
        host: str = "127.0.0.1",
        store: Store | None = None,
    ) -> None:
        self.chain = chain
        self._store = store
        self.port = 0
        self._block_ms, self._instant, self._host = block_ms, instant, host
        self._queries = Queries(chain)
        self._watchers = Watchers(chain)
        self._ids = itertools.count(1)
        self._server: Server | None = None
        self._clock: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> str:
        return f"ws://{self._host}:{self.port}"

    @property
    def followers(self) -> int:
        """How many subscriptions are open."""
        return len(self._watchers)

    @property
    def faults(self) -> Faults:
        return self.chain.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.chain.faults = faults

    async def start(self, port: int = 0) -> None:
        """Listen. Raises OSError when the port is taken. After `stop`, start again: the chain is kept."""
        self._server = await serve(
            self._serve,
            self._host,
            port or self.port,
            process_request=self._greet,
            max_size=MAX_FRAME,
            compression=None,
            close_timeout=CLOSE_SECONDS,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        if self._block_ms:
            self._clock = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Close every connection and stop the clock."""
        if self._clock:
            self._clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock
        if self._server:
            self._server.close(close_connections=True)
            await self._server.wait_closed()
        self._clock = self._server = None
        self._watchers.clear()

    async def produce(self, count: int = 1) -> Block:
        """Make blocks and tell who listens."""
        for _ in range(count):
            block = self.chain.produce()
            if self._store:
                self._store.keep(self.chain.saved())
            await self._watchers.announce(block)
        return self.chain.head

    async def _tick(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._block_ms / 1000, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            if not self.faults.halt:
                await self.produce()

    def _greet(self, socket: ServerConnection, request: Request) -> Response | None:
        """The handshake: refused with an HTTP status when that fault is on."""
        if not self.faults.status:
            return None
        status = HTTPStatus(self.faults.status)
        response = socket.respond(status, status.phrase + "\n")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            response.headers["Retry-After"] = "30"
        return response

    async def _serve(self, socket: ServerConnection) -> None:
        try:
            if self.faults.refuse:
                return
            async for frame in socket:
                await self._frame(socket, frame)
        except ConnectionClosed:
            pass
        except _Drop:
            socket.transport.abort()
        finally:
            self._watchers.forget(socket)

    async def _frame(self, socket: ServerConnection, frame: str | bytes) -> None:
        try:
            body = json.loads(frame)
        except ValueError:
            await socket.send('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}')
            return
        answers, dropped = [], False
        for request in body if isinstance(body, list) else [body]:
            try:
                answers.append(self._answer(socket, request))
            except _Drop:
                dropped = True
        if not dropped and not (self.faults.stall and not _of_dev(body)):
            await socket.send(
                json.dumps(answers if isinstance(body, list) else answers[0]) if self._clean() else "\x00{]"
            )
        if self._instant and not self.faults.halt:
            await self.produce_waiting()
        if dropped:
            raise _Drop

    async def produce_waiting(self) -> None:
        """Make a block if a transaction waits for one."""
        if self.chain.waiting:
            await self.produce()

    def _clean(self) -> bool:
        """Whether the answer may go out as it is; counts garbage down."""
        if not self.faults.garbage:
            return True
        self.faults = replace(self.faults, garbage=self.faults.garbage - 1)
        return False

    def _answer(self, socket: ServerConnection, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Invalid request"}}
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
        params = request.get("params") or []
        try:
            if not isinstance(params, list):
                raise RpcError(INVALID_PARAMS, "Invalid params: this node takes them by position")
            return answer | {"result": self._result(socket, request["method"], params)}
        except RpcError as error:
            return answer | {"error": error.answer()}

    def _result(self, socket: ServerConnection, method: str, params: list[Any]) -> Any:
        self._count_drop(method)
        if method in ("author_submitExtrinsic", "author_submitAndWatchExtrinsic"):
            return self._submit(socket, params, watched=method == "author_submitAndWatchExtrinsic")
        if method in HEADS or method in FINALIZED:
            return self._watchers.add(Watch(socket, self._id("h"), finalized=method in FINALIZED))
        if method.startswith(("chain_unsubscribe", "author_unwatch")):
            return bool(params) and self._watchers.remove(str(params[0]))
        if method == "dev_setFaults":
            return self._set_faults(params)
        return self._queries.answer(method, params)

    def _count_drop(self, method: str) -> None:
        if self.faults.drop_after and not method.startswith("dev_"):
            self.faults = replace(self.faults, drop_after=self.faults.drop_after - 1)
            if not self.faults.drop_after:
                raise _Drop

    def _set_faults(self, params: list[Any]) -> bool:
        if not params or not isinstance(params[0], dict):
            raise RpcError(INVALID_PARAMS, "Invalid params for dev_setFaults: give an object of faults")
        try:
            self.faults = self.faults.changed(params[0])
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from error
        return True

    def _id(self, kind: str) -> str:
        return f"{kind}{next(self._ids)}"

    def _submit(self, socket: ServerConnection, params: list[Any], *, watched: bool) -> str:
        if not params or not isinstance(params[0], str):
            raise RpcError(INVALID_TRANSACTION, "Invalid Transaction", "give the transaction in hex")
        try:
            extrinsic = self.chain.submit(bytes.fromhex(params[0].removeprefix("0x")))
        except UnsupportedCall as error:
            raise RpcError(SERVER_ERROR, str(error)) from error
        except (InvalidTransaction, ValueError) as error:
            raise RpcError(INVALID_TRANSACTION, "Invalid Transaction", str(error)) from error
        if self.faults.drop_on_submit:
            self.faults = replace(self.faults, drop_on_submit=self.faults.drop_on_submit - 1)
            raise _Drop
        return self._watchers.add(Watch(socket, self._id("x"), extrinsic.hash)) if watched else extrinsic.hash


def _of_dev(body: Any) -> bool:
    return isinstance(body, dict) and str(body.get("method", "")).startswith("dev_")


@asynccontextmanager
async def devnode(
    genesis: Genesis,
    *,
    port: int = 0,
    block_ms: int = 0,
    instant: bool = False,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Node]:
    """A node in this event loop, for tests: `async with devnode(genesis, instant=True) as node: ... node.endpoint`."""
    node = Node(DevChain(genesis, read_metadata(), clock), block_ms=block_ms, instant=instant)
    await node.start(port)
    try:
        yield node
    finally:
        await node.stop()
