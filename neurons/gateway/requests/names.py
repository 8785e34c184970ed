"""Names of hosts, looked up in threads of their own: a name server may keep each of these for as long as it likes."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

AT_ONCE: Final = 8
WAITING: Final = 24


class TooManyNames(OSError):
    """So many names are looked up, also for those that have gone since, that no more may wait."""


class Names(AbstractResolver):
    """Looks up AT_ONCE names at one time, and has WAITING wait."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="names")
        self._room = BoundedSemaphore(AT_ONCE + WAITING)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of a host, each once. Raises OSError, also for what is no name, and TooManyNames."""
        if not self._room.acquire(blocking=False):
            raise TooManyNames("too many names are looked up now")
        future = self._threads.submit(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        future.add_done_callback(lambda done: self._room.release())
        try:
            rows = await asyncio.wrap_future(future)
        except UnicodeError as error:
            raise OSError(f"no name of a host: {error}") from error
        return [
            ResolveResult(hostname=host, host=each, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for each, kind in {str(row[4][0]): row[0] for row in rows}.items()
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
