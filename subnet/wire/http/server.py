"""Runs an ASGI application inside a running event loop: uvicorn, with bounds on what a connection may do.

uvicorn's httptools protocol bounds neither the size of a request's head, nor the time it takes, nor how many requests
come ahead of their answers, so a few slow or endless connections could use up a miner; `BoundedProtocol` bounds all
three. How many connections there may be, and which goes when there are too many, is `connections.py`'s. Signals are
left to the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from asyncio.events import TimerHandle
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from subnet.wire.credentials import PROVEN
from subnet.wire.http.connections import Connections, room_for_connections
from subnet.wire.http.listener import ACCEPTS_PER_TURN, listen
from subnet.wire.http.log_limit import limit_logs
from subnet.wire.synapse import SYNAPSES

MAX_HEAD: Final = 16 * 1024  # bytes of request line and headers; about 800 are used
MAX_HEADERS: Final = 128  # of one request; each takes ten times its bytes
AHEAD: Final = 4  # requests of a connection that may wait for the answer to one before them
MAX_MESSAGE: Final = 2 * max(s.max_body for s in SYNAPSES.values())  # bytes on the wire, chunk framing included
DRAIN_SECONDS: Final = 0.8  # a program ends within two
LAST_SECONDS: Final = 0.3  # to tell the others that there is no answer
RETRY_AFTER: Final = 5  # seconds, for whoever is not answered when a server ends
STOPPING: Final = "this server is stopping; send it again later"


class _Gathered:
    """A transport that sends what is written in one turn of the loop with one system call.

    uvicorn writes head and body of a reply one after the other; as two segments they wake the other side twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose requests have a largest head, a largest size, and a time by which they must be complete.

    `message_seconds` is more than an axon's own deadline for bodies, which answers 408 where this one hangs up. A few
    requests may be sent ahead of their answers, which come in the same order. Where more are, or what cannot be read,
    the connection ends with the last answer that is owed: a refusal would be taken for one of these.
    """

    head_seconds: ClassVar[float] = 10.0
    message_seconds: ClassVar[float] = 20.0

    _in_head = True
    _received = 0  # bytes of this message
    _head = 0  # bytes of its headers, trailers included
    _timer: TimerHandle | None = None
    _running: RequestResponseCycle | None = None  # the request whose turn it is; `cycle` is the last one
    _wrong: tuple[int, str] | None = None  # status and reason for which the parser was stopped
    _deaf = False  # what still comes is dropped

    def __init__(self, *args: Any, among: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._among = among

    @property
    def idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self._received == 0 and (self.cycle is None or self.cycle.response_complete)

    def abandon(self) -> None:
        """Close at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _Gathered(transport, self.loop)  # type: ignore[assignment]
        self._arm(self.head_seconds)
        self._among.enter(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._among.leave(self)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            self._arm(self.head_seconds)
        self._received += len(data)
        if not self._deaf:
            super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._received > MAX_HEAD and not self._deaf:
            self._reject(431, "request head too large")
        elif self._received > MAX_MESSAGE:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value) + 4
        if self._head > MAX_HEAD or len(self.headers) >= MAX_HEADERS:
            self._stop(431, "request head too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= AHEAD:
            self._stop(400, "too many requests sent ahead of their answers")
        self._check_framing()
        self.scope["extensions"] = {PROVEN: {"call": functools.partial(self._among.prove, self)}}
        super().on_headers_complete()
        if self.parser.should_upgrade():  # nothing is upgraded here, and what follows is not read as HTTP
            self.cycle.keep_alive, self._deaf = False, True
        self._in_head = False
        self._arm(self.message_seconds)

    def _check_framing(self) -> None:
        """RFC 9112: 400 without exactly one Host (section 3.2), 501 for a coding that is not taken off (6.1).

        The parser passes over the body of a request to upgrade (RFC 9110, 7.8): it would be read as the next request.
        """
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._stop(400, f"a request has one header Host, not {hosts}")
        if b"transfer-encoding" in names:
            codings = b",".join(value for name, value in self.headers if name == b"transfer-encoding")
            if codings.strip().lower() != b"chunked":
                self._stop(501, "of transfer encodings only chunked is taken")
        empty = b"transfer-encoding" not in names and all(v == b"0" for n, v in self.headers if n == b"content-length")
        if self.parser.should_upgrade() and not empty:
            self._stop(400, "only HTTP/1.1 is spoken here: send what has a body without the header Upgrade")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _stop(self, status: int, reason: str) -> None:
        """Stop the parser, which then asks for a 400; `status` is told instead."""
        self._wrong = status, reason
        raise ValueError(reason)

    def send_400_response(self, msg: str) -> None:
        self._reject(*(self._wrong or (400, msg)))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._received, self._head = True, 0, 0
        self._disarm()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self._in_head and self._received and not self.transport.is_closing():
            self._reject(408, "request head too slow")
        else:
            self.transport.abort()

    def give_up(self) -> None:
        """The server ends: whoever waits for an answer is told 503, and what the application still says is dropped."""
        running, waits = self._running, not self.idle
        if running is not None and not running.response_complete:
            running.disconnected, waits = True, not running.response_started
            running.message_event.set()
        self.pipeline.clear()
        if waits:
            self._tell(503, STOPPING)
        self.transport.close()

    def refusal(self, status: int, reason: str) -> tuple[dict[str, str], str]:
        """Headers and body of what is told of a request that no application answers: 400, 408, 431, 501 or 503."""
        return {"content-type": "text/plain; charset=utf-8"}, reason

    def _reject(self, status: int, reason: str) -> None:
        if not self._in_head and self.cycle is not self._running:  # a body behind another request: it is none
            self.pipeline.popleft()
            self.cycle, self._in_head = self.pipeline[0][0] if self.pipeline else self._running, True  # type: ignore[assignment]
        if self._in_head and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive, self._deaf = False, True
            return
        if not self._in_head and self.cycle.response_started:
            self.transport.close()
            return
        self._tell(status, reason)
        self.transport.close()

    def _tell(self, status: int, reason: str) -> None:
        headers, text = self.refusal(status, reason)
        body = text.encode()
        lines = {**headers, "connection": "close", "content-length": str(len(body))}
        if status == 503:
            lines["retry-after"] = str(RETRY_AFTER)
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.transport.write(STATUS_LINE[status] + head.encode() + b"\r\n" + body)


class _Server(uvicorn.Server):
    """uvicorn that says when it listens and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class RunningServer:
    """A server that runs. `port` is the real one, also when 0 was asked for."""

    def __init__(
        self, server: _Server, task: asyncio.Task[None], host: str, port: int, drain: Callable[[], None] | None
    ) -> None:
        self.host, self.port = host, port
        self._server, self._task, self._drain = server, task, drain
        self._ending: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None

    def stop_at(self, event: asyncio.Event) -> None:
        """Stop as soon as `event` is set, whatever its program still does then."""

        async def wait() -> None:
            await event.wait()
            await self.stop()

        self._waiting = asyncio.create_task(wait())

    async def stop(self) -> None:
        """Take no more connections, let the requests in hand end, and close. Who has no answer after `DRAIN_SECONDS` is
        told 503, and the work on it is cancelled. Doing it again waits for the end."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        if self._drain is not None:
            self._drain()
        state, self._server.should_exit = self._server.server_state, True
        await asyncio.wait({self._task}, timeout=DRAIN_SECONDS)
        for connection in list(state.connections):
            connection.give_up()  # type: ignore[union-attr]
        for task in list(state.tasks):
            task.cancel()
        await asyncio.wait({self._task}, timeout=LAST_SECONDS)
        for connection in list(state.connections):  # of clients that do not read
            connection.abandon()  # type: ignore[union-attr]
        await self._task


def _served(app: ASGIApp) -> ASGIApp:
    """`app`, with HEAD wherever there is GET: uvicorn leaves the body out. Its requests may be cancelled when the
    server ends, for which uvicorn would write tracebacks."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        with contextlib.suppress(asyncio.CancelledError):
            await app(asked, receive, send)

    return called


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    drain: Callable[[], None] | None = None,
    connections: Connections | None = None,
    protocol: type[BoundedProtocol] = BoundedProtocol,
    flags: str = "--axon.",
) -> RunningServer:
    """Start `app` in this event loop and return once it listens. Port 0 picks a free one. Raises SettingsError.

    `drain` is called when the server begins to stop, before it stops taking connections. Without `connections` there
    may be as many as the process's descriptors allow. `flags` is what flags begin with that errors name.
    """
    sock = listen(host, port, flags)
    among = Connections(room_for_connections()) if connections is None else connections
    sock.on_full = among.shed
    limit_logs()
    config = uvicorn.Config(
        _served(app),
        http=functools.partial(protocol, among=among),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,  # for what lets itself not be cancelled
        backlog=ACCEPTS_PER_TURN,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]), name=f"axon:{port}")
    await server.listening.wait()
    return RunningServer(server, task, host, int(sock.getsockname()[1]), drain)
