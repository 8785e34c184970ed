"""Which connections a server keeps when more want in than it has room for.

A connection is a stranger's until a request on it has proven its hotkey. An address may have some strangers'
connections, and all together have a total below the process's descriptors. Past a bound the oldest one is closed, not
the newest refused: whoever opens connections and says nothing only displaces himself, and a validator that has just
connected is the last to go.
"""

from __future__ import annotations

import ipaddress
import os
import resource
from typing import Final, Protocol

MOST: Final = 2048
LEAST: Final = 16
_HEADROOM: Final = 96  # descriptors kept for what the program opens later: files, the chain, decoders, an accept burst


class Connection(Protocol):
    """What is asked of a connection."""

    @property
    def idle(self) -> bool:
        """Whether no request is being read or answered."""
        ...

    def abandon(self) -> None:
        """Close at once."""
        ...


class Connections:
    """The open connections of one server, oldest first.

    `total` and `per_address` are counts; strangers of one address have at most half of the total where nothing else is
    said. Not fewer: to hold a silent connection costs nothing, to close it again and again does.
    """

    def __init__(self, total: int = MOST, per_address: int | None = None) -> None:
        self.total, self.per_address = total, total // 2 if per_address is None else per_address
        self._strangers: dict[Connection, str] = {}  # and their address
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._proven: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._strangers) + len(self._proven)

    def enter(self, connection: Connection, address: str) -> None:
        """A connection was accepted; another, or this one, may be closed for it."""
        place = _network(address)
        self._strangers[connection] = place
        here = self._by_address.setdefault(place, {})
        here[connection] = None
        if len(here) > self.per_address:
            self._close(next(iter(here)))
        elif len(self) > self.total:
            self.shed()

    def prove(self, connection: Connection) -> None:
        """A request on this connection has proven its hotkey."""
        if connection in self._strangers:
            self.leave(connection)
            self._proven[connection] = None

    def leave(self, connection: Connection) -> None:
        """The connection is closed, or will be. Doing it again changes nothing."""
        self._proven.pop(connection, None)
        place = self._strangers.pop(connection, None)
        if place is not None:
            here = self._by_address[place]
            del here[connection]
            if not here:
                del self._by_address[place]

    def shed(self) -> None:
        """Close the one that is missed least: the oldest stranger but the newest, an idle one, else that newest."""
        strangers = iter(self._strangers)
        oldest = next(strangers, None)
        if oldest is not None and next(strangers, None) is not None:
            self._close(oldest)
            return
        idle = next((connection for connection in self._proven if connection.idle), oldest)
        if idle is not None:
            self._close(idle)

    def _close(self, connection: Connection) -> None:
        self.leave(connection)
        connection.abandon()


def _network(address: str) -> str:
    """Whose address this is: an IPv4 address as it is, of an IPv6 address the /64 that one host has."""
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return address
    if host.version == 4:
        return address
    return str(ipaddress.ip_network((int(host) >> 64 << 64, 64)))


def room_for_connections() -> int:
    """How many connections the process's descriptors allow, once its own limit is raised as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = MOST * 2 if hard == resource.RLIM_INFINITY else hard
    return max(LEAST, min(MOST, limit - _open_descriptors() - _HEADROOM))


def _open_descriptors() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return len(os.listdir(folder))
    return 0
