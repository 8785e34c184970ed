"""The gateway's SQLite file: opened by several processes at once, readable by its owner alone."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from subnet.errors import StateError
from subnet.files import private_file, private_folder, refuse_orphans

FILE: Final = "gateway.db"
SCHEMA: Final = 1
BUSY_SECONDS: Final = 5.0  # to wait for another process that writes
_TABLES: Final = f"""
CREATE TABLE keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest BLOB NOT NULL, scopes TEXT NOT NULL,
    rate REAL NOT NULL, quota INTEGER NOT NULL, webhook TEXT NOT NULL, created REAL NOT NULL, revoked REAL,
    tokens REAL NOT NULL, counted REAL NOT NULL, day INTEGER NOT NULL, spent INTEGER NOT NULL);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, created REAL NOT NULL, until REAL NOT NULL, state TEXT NOT NULL,
    lease REAL NOT NULL, tries INTEGER NOT NULL, upload BLOB, answer TEXT NOT NULL);
CREATE INDEX waiting ON jobs (state, created);
CREATE TABLE answers (
    key TEXT NOT NULL, token TEXT NOT NULL, digest BLOB NOT NULL, until REAL NOT NULL,
    status INTEGER, body TEXT, location TEXT, PRIMARY KEY (key, token));
PRAGMA user_version = {SCHEMA};
"""


class Database:
    """One connection, used by one thread at a time. `now` gives seconds since 1970."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        """Raises StateError for a file that is damaged, of a newer version, or cannot be written."""
        self.path, self.now, self._lock = path, now, threading.Lock()
        try:
            private_folder(path.parent)
            refuse_orphans(path)
            private_file(path)
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"cannot open {path}: {error}; name another folder with --state") from error
        try:
            self._prepare()
        except StateError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        with self.writing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _TABLES.split(";\n"):
                    db.execute(statement)
        if version > SCHEMA:
            raise StateError(f"{self.path} was written by a newer Assay (schema {version}, this one knows {SCHEMA})")
        with self._told():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")  # a lost second of allowances costs nobody anything
            self._db.execute("PRAGMA secure_delete = ON")  # uploads do not stay in pages that are free

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other process writes in. Raises StateError."""
        with self._lock, self._told(), self._db:  # which commits, or rolls back
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection. Raises StateError."""
        with self._lock, self._told():
            yield self._db

    def tidy(self) -> None:
        """Empty the log beside the file, in which uploads that were deleted still stand. Raises StateError."""
        with self.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(f"{self.path} cannot be used: {error}") from error

    def close(self) -> None:
        self._db.close()
