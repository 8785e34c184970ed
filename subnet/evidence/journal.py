"""The append-only journal: a chain of entries in SQLite, and the state that follows from them.

Each entry's hash covers the one before it, so that nothing recorded can be changed or taken out unnoticed. An entry
and the state after it are written in one transaction (WAL, synchronous=FULL): kill -9 at any point loses nothing
that `append` returned from. One process at a time: a second one is refused with the first one's pid.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from subnet.errors import JournalBroken, StateError

SCHEMA = 1
GENESIS = "0" * 64
_TABLES = """
CREATE TABLE IF NOT EXISTS entries
    (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state
    (only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, value BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Entry:
    """One fact. `hash` = sha256(previous hash, kind, body), each ended by a line feed."""

    seq: int
    kind: str
    body: str  # JSON
    hash: str


def link(previous: str, kind: str, body: str) -> str:
    """The hash of an entry that follows `previous`."""
    return hashlib.sha256(f"{previous}\n{kind}\n{body}\n".encode()).hexdigest()


class Journal:
    """An open journal. Raises StateError when it is damaged, newer than this program, or held by another process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path.with_suffix(".lock"))
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise StateError(f"{path} was written by a newer Assay (schema {version}, this one knows {SCHEMA})")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version={SCHEMA}")
            last = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        except sqlite3.Error as error:
            os.close(self._lock)
            raise StateError(f"cannot open the journal {path}: {error}; move it away to start anew") from error
        self.length: int = last[0] if last else 0
        self.tip: str = last[1] if last else GENESIS

    def append(self, kind: str, body: str, state: bytes | None = None) -> Entry:
        """Write one entry (`body` is JSON), and the state after it, or nothing.

        Raises StateError when it cannot be written, e.g. because the disk is full; the journal stays usable.
        """
        entry = Entry(self.length + 1, kind, body, link(self.tip, kind, body))
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (entry.seq, kind, body, entry.hash))
            if state is not None:
                self._db.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (entry.seq, state))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StateError(f"cannot write to the journal {self.path}: {error}; free space on its disk") from error
        self.length, self.tip = entry.seq, entry.hash
        return entry

    def state(self) -> bytes | None:
        """The newest state, None when there is none yet."""
        row = self._db.execute("SELECT value FROM state").fetchone()
        return row[0] if row else None

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """Entries in order. Raises JournalBroken at the first whose hash does not follow from the one before."""
        previous = GENESIS
        for seq, row in enumerate(self._db.execute("SELECT seq, kind, body, hash FROM entries ORDER BY seq"), 1):
            entry = Entry(*row)
            if entry.seq != seq or entry.hash != link(previous, entry.kind, entry.body):
                raise JournalBroken(f"{self.path}: entry {seq} does not follow from the one before it")
            previous = entry.hash
            if kind is None or entry.kind == kind:
                yield entry

    def close(self) -> None:
        """Close the file and let the next process in."""
        self._db.close()
        os.close(self._lock)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise StateError(f"{path.parent} is in use by the process {holder}: one validator per state folder") from error
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    return handle
