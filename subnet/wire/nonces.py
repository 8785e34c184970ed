"""The memory of accepted requests, so that none is accepted twice: by any worker, after any restart.

Whoever asks has checked a request's age by the wall clock before: what comes here is fresh. Every accepted (hotkey,
nonce) is one SQLite row, committed before the request is answered; workers share the file. There is no copy in memory
with a late write: a worker that is killed would forget what it accepted last, and the next one would accept it again.

Commits go to the write-ahead log without waiting for the disk (synchronous=OFF), so kill -9 loses nothing, but a power
cut may. Hence the floor: a nonce made shortly before this machine booted, or before this file began, is refused
whatever the table says; one made long before is stale. A damaged file is set aside as `.bad` and a new one begun; the
floor of that one lies `skew` seconds ahead, because requests that were just accepted may be dated so far ahead.

A fresh nonce far below the floor says that the clock was ahead when the floor was set, and is right now. The floor then
stands for nothing: what it guards against are requests of the seconds before it, which by the right clock are to come.
So a clock that was ahead costs nothing once it is right; one that was ahead by less than `window` costs that long.

Rows are dropped by the monotonic clock, `retention` seconds after they came, so a jump of the wall clock frees nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from subnet.errors import StateError
from subnet.files import private_file, private_folder

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS floor (nonce INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS seen (
    hotkey TEXT, nonce INTEGER, at INTEGER NOT NULL, PRIMARY KEY (hotkey, nonce)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_at ON seen (at);
"""
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)
_SIDE_FILES: Final = ("", "-wal", "-shm")

_log = logging.getLogger("subnet.wire")


class SqliteNonceStore:
    """Accepted (hotkey, nonce) pairs in the file `path`. Use `close()` when done.

    `window` seconds must cover how old and how far ahead a request may be, plus the time a body may take. `retention`
    seconds must cover that too; an hour also covers a wall clock that is set back by less than that. `now_ns` and
    `monotonic_ns` are the clocks.
    """

    def __init__(
        self,
        path: Path,
        retention: float = 3600.0,
        *,
        skew: float = 2.0,
        window: float = 30.0,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.path = path
        self.retention = retention
        self._skew_ns, self._window_ns = int(skew * 1e9), int(window * 1e9)
        self._margin_ns = 0  # of a file that is begun: none at the first start, when nothing can have been accepted
        self._now_ns, self._monotonic_ns = now_ns, monotonic_ns
        self._lock = threading.Lock()
        self._next_prune = 0
        self._db: sqlite3.Connection | None = None
        self._inode = -1
        self._begun = self._floor = 0
        with self._lock:
            self._open()  # StateError when the file cannot be had

    def check_and_store(self, hotkey_ss58: str, nonce_ns: int) -> bool:
        """True, and remembered for good, if this pair is new; False if it was seen or lies just below the floor.

        Raises StateError when the pair cannot be kept (full disk, no rights): then the request must not be served.
        """
        with self._lock:
            try:
                return self._check(hotkey_ss58, nonce_ns)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise StateError(f"cannot remember accepted requests in {self.path}: {error}") from error
            self._open()
            return self._retry(hotkey_ss58, nonce_ns)

    def close(self) -> None:
        """Let go of the file. The store opens it again when it is asked again."""
        with self._lock:
            self._close()

    def _retry(self, hotkey: str, nonce: int) -> bool:
        try:
            return self._check(hotkey, nonce)
        except sqlite3.DatabaseError as error:
            raise StateError(f"cannot remember accepted requests in {self.path}: {error}") from error

    def _check(self, hotkey: str, nonce: int) -> bool:
        if self._db is None or _inode(self.path) != self._inode:  # another worker has set a damaged file aside
            self._open()
        if self._db is None:
            return False
        if self._floor - self._window_ns <= nonce < self._floor:
            _log.warning(
                "a request was refused as older than this memory of requests, by %.1f s: right after a start, and else "
                "because the clock was ahead when the miner or this machine started; `assay doctor` compares the clock",
                (self._floor - nonce) / 1e9,
            )
            return False
        now = self._monotonic_ns()
        stored = self._db.execute("INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (hotkey, nonce, now))
        if now >= self._next_prune:
            self._prune(self._db, now)
        return stored.rowcount == 1

    def _prune(self, db: sqlite3.Connection, now: int) -> None:
        self._next_prune = now + int(self.retention * 1e9 / 16)
        db.execute("DELETE FROM seen WHERE at < ?", (now - int(self.retention * 1e9),))

    def _open(self) -> None:
        """Open the file, or set it aside and begin anew. One worker at a time does this."""
        self._close()
        try:
            self._open_alone()
        except (OSError, sqlite3.DatabaseError) as error:
            raise StateError(f"cannot open {self.path}: {error}") from error
        boot = self._now_ns() - self._monotonic_ns()
        self._floor = max(self._begun, boot)

    def _open_alone(self) -> None:
        with _exclusive(self.path):
            if not self.path.exists() and self.path.with_name(self.path.name + "-wal").exists():
                _set_aside(self.path)  # its file was taken away: something may have been accepted
                self._margin_ns = self._skew_ns
            private_file(self.path)
            try:
                self._db, self._begun = self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                _set_aside(self.path)
                private_file(self.path)
                self._margin_ns = self._skew_ns
                self._db, self._begun = self._connect()
            self._margin_ns = self._skew_ns
            self._inode = _inode(self.path)

    def _connect(self) -> tuple[sqlite3.Connection, int]:
        """A checked connection and the floor that stands in the file."""
        db = sqlite3.connect(self.path, timeout=2.0, isolation_level=None, check_same_thread=False)
        with contextlib.ExitStack() as undo:
            undo.callback(db.close)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise _damage(f"{self.path} is damaged")
            db.executescript(_SCHEMA)
            row = db.execute("SELECT max(nonce) FROM floor").fetchone()
            floor = row[0]
            if floor is None:
                floor = self._now_ns() + self._margin_ns
                db.execute("INSERT INTO floor VALUES (?)", (floor,))
            if not isinstance(floor, int):
                raise _damage(f"{self.path} holds no usable floor")
            # Rows of an earlier boot carry another monotonic clock; the boot floor refuses what they stand for.
            db.execute("DELETE FROM seen WHERE at > ?", (self._monotonic_ns(),))
            undo.pop_all()
        return db, floor

    def _close(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None


def _damage(message: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file's content is at fault, not the disk or the rights. The low byte of a code is its kind."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or (code & 0xFF) in _DAMAGED


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return -1


def _set_aside(path: Path) -> None:
    """Rename the file and its side files to `.bad`, over an older `.bad`, and say so."""
    _log.warning(
        "the memory of accepted requests %s is damaged: it is kept as %s, and a new one is begun; requests of the last "
        "seconds are refused",
        path,
        path.with_name(path.name + ".bad").name,
    )
    for suffix in _SIDE_FILES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(path.name + suffix + ".bad"))


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file beside `path`; the lock ends with the process, however it ends."""
    private_folder(path.parent)
    with private_file(path.with_name(path.name + ".lock")).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
