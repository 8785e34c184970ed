"""Refusals of bodies that nobody reads."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from subnet.wire.http.lingering import SILENCE_SECONDS, Lingering
from subnet.wire.http.server import serve
from tests.unit.subnet.wire.rig import read_response


async def test_a_slow_upload_hears_why() -> None:
    """A client that sends for longer than one may be silent, and only then reads, is told; one that is silent is hung
    up on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Lingering(Response("no", 429), receive)(scope, receive, send)

    server = await serve(app, "127.0.0.1", 0)
    parts, part = 8, 2**20
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**16)
    writer.write(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {parts * part}\r\n\r\n".encode())
    for _ in range(parts):
        await asyncio.sleep(1.5 * SILENCE_SECONDS / parts)
        writer.write(bytes(part))
        await writer.drain()
    assert (await asyncio.wait_for(read_response(reader), 10)).status == 429
    assert await reader.read() == b""
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    assert (await asyncio.wait_for(read_response(reader), 10)).status == 429
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await server.stop()
