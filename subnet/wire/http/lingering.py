"""Refusals that arrive although the body of the request was not read."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SILENCE_SECONDS: Final = 2.0  # of a client, all the time of a message is the connection's to bound
LINGER_BYTES: Final = 2**25


class Lingering(Response):
    """A response to a request whose body is not wanted: the rest is dropped for as long as it comes, and then the
    connection ends.

    A connection that is closed while its client still sends is reset, and the client may never see why.
    """

    def __init__(self, response: Response, receive: Receive) -> None:
        super().__init__(response.body, response.status_code, dict(response.headers))
        self.headers["connection"] = "close"
        self._receive = receive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        dropped, more = 0, True
        with contextlib.suppress(TimeoutError):
            while more and dropped < LINGER_BYTES:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await self._receive()
                dropped += len(message.get("body", b""))
                more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": b""})
