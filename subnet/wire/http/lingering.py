"""Refusals that arrive although the body of the request was not read."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 2**25


class Lingering(Response):
    """A response to a request whose body is not wanted: the rest is dropped for a while, then the connection ends.

    A connection that is closed while its client still sends is reset, and the client may never see why.
    """

    def __init__(self, response: Response, receive: Receive) -> None:
        super().__init__(response.body, response.status_code, dict(response.headers))
        self.headers["connection"] = "close"
        self._receive = receive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                dropped, more = 0, True
                while more and dropped < LINGER_BYTES:
                    message = await self._receive()
                    dropped += len(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})
