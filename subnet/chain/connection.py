"""One connection to a node that is thrown away when it fails and dialled anew, at the next address, by the next call.

Knows what an SDK client can do (connect, close, blocks), but does not import it: `dial` makes one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from subnet.chain.deadline import stop, within
from subnet.errors import ChainError, ChainTimeout

T = TypeVar("T")

CLOSE_SECONDS: Final = 0.5  # a program ends within two
DIAL_SECONDS: Final = 1.0  # between two tries of an address that could not be reached
GONE_SECONDS: Final = 15.0  # without a connection and a block: a node that is started again is back sooner
OTHER_CHAIN: Final = 64  # a head this far behind the last one is no reorganisation
MISFIT: Final = (ValueError, LookupError, TypeError, AttributeError, AssertionError)  # leak from the SDK's decoding


class Link:
    """`names` are the addresses in the order of preference: whenever one fails the next one is dialled.

    `broken` are the SDK's exceptions for a connection or a call that failed; `deadline` is per call, in seconds.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        dial: Callable[[str], Any],
        broken: tuple[type[Exception], ...],
        deadline: float,
    ) -> None:
        self._names, self._turn = names, 0
        self._refused: dict[str, float] = {}  # when it could not be reached, by address
        self.broken: tuple[type[Exception], ...] = broken + MISFIT
        self._lost: tuple[type[Exception], ...] = (ChainError, *self.broken)
        self._dial, self._deadline = dial, deadline
        self._client: Any = None
        self._dialling = asyncio.Lock()

    @property
    def name(self) -> str:
        """The address whose turn it is."""
        return self._names[self._turn]

    async def client(self, deadline: float | None = None) -> Any:
        """The connected client. Raises ChainError when the node cannot be reached within the deadline."""
        async with self._dialling:
            if self._client is None:
                self._client = await self._reach(self.name, deadline or self._deadline)
            return self._client

    async def _reach(self, name: str, deadline: float) -> Any:
        rest = self._refused.get(name, -1e9) + DIAL_SECONDS - time.monotonic()
        if rest > 0:
            await asyncio.sleep(min(rest, deadline))
        client = self._dial(name)
        try:
            await within(client.connect(), deadline, f"connecting to {name}")
        except self._lost as error:
            self._refused[name] = time.monotonic()
            await self._close(client)
            self._rotate()
            if isinstance(error, ChainTimeout):
                raise
            raise ChainError(f"cannot reach the chain at {name}: {error}") from error
        return client

    def _rotate(self) -> None:
        self._turn = (self._turn + 1) % len(self._names)

    async def read(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """The result of a call that only reads.

        A connection may have died without the SDK noticing, so the call gets half of the time, and what is left of it
        on a new connection when the first one failed or kept silent.
        """
        began = time.monotonic()
        try:
            return await self._attempt(call, self._deadline / 2)
        except ChainError:
            left = began + self._deadline - time.monotonic()
            return await self._attempt(call, max(0.05, left))

    async def _attempt(self, call: Callable[[Any], Awaitable[T]], deadline: float) -> T:
        client = await self.client(deadline)
        try:
            return await within(call(client), deadline, f"a call to {self.name}")
        except ChainTimeout:
            await self.discard()
            raise
        except self.broken as error:
            await self.discard()
            raise ChainError(f"the chain at {self.name} did not answer as expected: {error}") from error

    async def discard(self) -> None:
        """Forget the connection; the next call dials anew, at the next address."""
        client, self._client = self._client, None
        if client is not None:
            self._rotate()
            await self._close(client)

    async def _close(self, client: Any) -> None:
        with contextlib.suppress(*self._lost):
            await within(client.close(), CLOSE_SECONDS, "closing")

    async def blocks(self, watchdog: float) -> AsyncIterator[int]:
        """Numbers of new blocks, rising; some are skipped after a reconnection.

        After a quarter of `watchdog` in silence, or `GONE_SECONDS`, it subscribes anew: the SDK does not notice every
        dead connection.
        Raises ChainTimeout when none comes for `watchdog` seconds, or for `GONE_SECONDS` where there is no connection
        either; ChainError when the node turns to another chain.
        """
        last, seen, pause = -1, time.monotonic(), 0.1
        while True:
            trouble, patience = "the subscription ended", min(GONE_SECONDS, watchdog)
            async with contextlib.aclosing(self._subscribed(min(GONE_SECONDS, watchdog / 4))) as numbers:
                try:
                    async for number in numbers:
                        seen, pause = time.monotonic(), 0.1
                        if number < last - OTHER_CHAIN:
                            raise _OtherChain(f"{self.name} went from block {last} back to {number}: another chain?")
                        if number > last:
                            last = number
                            yield number
                except _OtherChain:
                    raise
                except _Silent as error:
                    trouble, patience = str(error), watchdog
                except self._lost as error:
                    trouble = str(error)
            await self.discard()
            if time.monotonic() - seen + pause > patience:
                raise ChainTimeout(f"no new block from {self.name} for {patience:g} s: {trouble}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)

    async def _subscribed(self, patience: float) -> AsyncGenerator[int, None]:
        """One subscription until it breaks, ends, or is silent for `patience` seconds."""
        arrivals: asyncio.Queue[int | Exception] = asyncio.Queue()
        pump = asyncio.create_task(self._pump(await self.client(), arrivals))
        try:
            while True:
                try:
                    arrival = await within(arrivals.get(), patience, "the next block")
                except ChainTimeout as error:
                    raise _Silent(str(error)) from error
                if isinstance(arrival, Exception):
                    raise arrival
                yield arrival
        finally:
            await stop(pump, CLOSE_SECONDS)

    async def _pump(self, client: Any, arrivals: asyncio.Queue[int | Exception]) -> None:
        try:
            async for header in client.blocks():
                arrivals.put_nowait(int(header.number))
        except self._lost as error:
            arrivals.put_nowait(error)
        else:
            arrivals.put_nowait(ChainError("the subscription ended"))


class _Silent(ChainTimeout):
    """The connection stands, and no block comes."""


class _OtherChain(ChainError):
    """The node's head is far behind what it was."""
