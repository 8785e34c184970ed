"""What becomes of the SDK's session when its node goes: told to whoever follows blocks, and no task is left unread.

bittensor 11.1 to 11.3 (`_transport/rpc.py`): where a node closes its websocket in due form (RFC 6455, section 7) while
somebody follows blocks, the task `rpc-session` ends with an AssertionError, since it copies the close frames without
their order; the follower hears nothing. The next call makes a new task and drops the old one with its error.
"""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.exceptions import ConnectionClosedOK

from subnet.chain.deadline import take


def heeded(client: Any) -> Any:
    """The SDK's `client`, not connected yet, with sessions that end as they should."""
    backend = client._substrate  # the SDK shows no other way to a session before it is connected
    make = backend._interface

    def interface(*args: Any) -> Any:
        connection = make(*args)
        session = connection._session
        dial = session._connect

        async def connect(url: str) -> _Socket:
            session_task = asyncio.current_task()
            assert session_task is not None
            session_task.add_done_callback(take)
            return _Socket(await dial(url))

        session._connect = connect
        return connection

    backend._interface = interface
    return client


class _Socket:
    """A websocket as a session uses it, whose goodbye can be copied without the order of its frames."""

    def __init__(self, socket: Any) -> None:
        self._socket, self.send, self.close = socket, socket.send, socket.close

    async def recv(self) -> Any:
        try:
            return await self._socket.recv()
        except ConnectionClosedOK as error:
            raise ConnectionClosedOK(error.rcvd, None) from error
