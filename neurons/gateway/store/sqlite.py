"""The gateway's own SQLite file: opened by several processes of a machine at once, readable by its owner alone."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from neurons.gateway.store.database import BUSY_SECONDS, SCHEMA, statements
from neurons.secrets.seed import kept_seed
from subnet.errors import StateError
from subnet.files import private_file, private_folder, refuse_orphans

FILE: Final = "gateway.db"


class _Spoken:
    """The connection, which knows nothing of locked rows: whoever writes here writes alone."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._db.execute(sql.partition(" FOR UPDATE")[0], values)


class SqliteDatabase:
    """One connection."""

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
        with self.reading() as db:
            if (version := db.execute("PRAGMA user_version").fetchone()[0]) > SCHEMA:
                raise StateError(
                    f"{self.path} was written by a newer Assay (schema {version}, this one knows {SCHEMA})"
                )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # a lost second of allowances costs nobody anything
            db.execute("PRAGMA secure_delete = ON")  # uploads do not stay in pages that are free
        with self.writing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            for statement in (*statements(version), f"PRAGMA user_version = {SCHEMA}") if version < SCHEMA else ():
                db.execute(statement)
        self.tidy()  # after a process that died

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[_Spoken]:
        """A transaction, alone in any case. Raises StateError."""
        with self._lock, self._told(), self._db:  # which commits, or rolls back
            self._db.execute("BEGIN IMMEDIATE")
            yield _Spoken(self._db)

    @contextmanager
    def reading(self) -> Iterator[_Spoken]:
        """The connection. Raises StateError."""
        with self._lock, self._told():
            yield _Spoken(self._db)

    def secret(self) -> int:
        """The bits in the file `seed` beside this one. Raises StateError."""
        return kept_seed(self.path.parent)

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
