"""The listening socket of a server."""

from __future__ import annotations

import asyncio
import socket

from subnet.wire.http.listener import listen


async def test_what_is_written_is_sent_at_once() -> None:
    """No connection waits for an acknowledgement before its next part: a body behind its head came 40 ms later."""
    told: asyncio.Queue[int] = asyncio.Queue()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.put_nowait(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    sock = listen("127.0.0.1", 0)
    async with await asyncio.start_server(take, sock=sock):
        _, writer = await asyncio.open_connection(*sock.getsockname())
        assert await told.get() != 0
        writer.close()
        await writer.wait_closed()
