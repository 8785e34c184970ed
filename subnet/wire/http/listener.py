"""The listening socket of a server that lives on when descriptors run out.

asyncio answers EMFILE with a traceback for each of up to a backlog of tries and a second's pause, again and again. Here
one descriptor is kept in reserve: it takes the connection that there is no room for and closes it, so that the queue
moves on, and one of the open connections is closed in its place.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from subnet.errors import SettingsError

ACCEPTS_PER_TURN: Final = 32  # of the event loop; what is in hand goes on between
_QUEUE: Final = 4096  # connections that wait in the kernel
_FULL: Final = (errno.EMFILE, errno.ENFILE)
_SHORT: Final = (errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger("subnet.wire")


class Listener(socket.socket):
    """A bound TCP socket. `on_full` is called when a connection had to be turned away."""

    def __init__(self, family: int) -> None:
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio then sets TCP_NODELAY
        self.on_full: Callable[[], None] = lambda: None
        self._reserve: int | None = None

    def listen(self, backlog: int = 0) -> None:
        """Listen with a long queue, whatever `backlog` says: asyncio takes that for the accepts in one turn."""
        super().listen(_QUEUE)
        self._reserve = os.open(os.devnull, os.O_RDONLY)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises BlockingIOError when there is none, or no room for it."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno in _FULL:
                self._turn_away()
            elif error.errno in _SHORT:
                time.sleep(0.01)  # the kernel has no memory for it now; nothing else could go on either
            else:
                raise
        _log.warning("no room for another connection: raise `ulimit -n`, or look who opens so many")
        raise BlockingIOError(errno.EAGAIN, "no room for another connection")

    def close(self) -> None:
        """Stop listening."""
        self._let_go()
        super().close()

    def _turn_away(self) -> None:
        self._let_go()
        with contextlib.suppress(OSError):
            super().accept()[0].close()
        with contextlib.suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY)
        self.on_full()

    def _let_go(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None


def listen(host: str, port: int, flags: str = "--axon.") -> Listener:
    """A bound TCP socket. Raises SettingsError that names the flag, after `flags`, when the address cannot be had."""
    sock = Listener(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except (OSError, OverflowError) as error:
        sock.close()
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} on {host} is occupied: stop the other program or choose another with {flags}port"
            ) from error
        if code == errno.EACCES:
            raise SettingsError(f"no right to listen on port {port}: choose one above 1023 with {flags}port") from error
        raise SettingsError(f"cannot listen on {host} port {port} ({error}): see {flags}ip and {flags}port") from error
    return sock
