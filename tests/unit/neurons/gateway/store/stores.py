"""A database of one dialect, opened as often as processes would, at the time that a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from neurons.gateway.store.database import Database
from neurons.gateway.store.keys import DAY
from neurons.gateway.store.opening import open_database


@dataclass
class Clock:
    """Seconds since 1970."""

    time: float = 1_000_000 * DAY + 3600.0

    def __call__(self) -> float:
        return self.time


@dataclass
class Store:
    """The file in `folder`, or the server at `address`. Each `open` is another process's."""

    folder: Path
    address: str = ""
    clock: Clock = field(default_factory=Clock)
    opened: list[Database] = field(default_factory=list)

    def open(self) -> Database:
        database = open_database(self.folder, self.address)
        database.now = self.clock
        self.opened.append(database)
        return database

    def close(self) -> None:
        for database in self.opened:
            database.close()
