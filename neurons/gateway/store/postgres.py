"""A PostgreSQL server that gateways of several machines share: their tables lie in a schema of their own.

Needs psycopg 3 (pip install 'assay-subnet[postgres]'). Password and certificates may also come from libpq's variables
and files (PGPASSWORD, ~/.pgpass).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from neurons.gateway.store.database import BUSY_SECONDS, SCHEMA, statements
from subnet.errors import StateError
from subnet.printing import printable, without_credentials

NAME: Final = "assay_gateway"  # of the schema
PAUSE: Final = 2.0  # seconds between two looks for a server that is away, for which everybody would wait in turn
_ALONE: Final = 0x61737361796777  # the advisory lock of transactions that run alone
_SETTINGS: Final = (
    f"SET search_path TO {NAME}",
    f"SET lock_timeout TO '{BUSY_SECONDS:g}s'",
    "SET idle_in_transaction_session_timeout TO '30s'",  # a process that was stopped holds no lock for long
)


class _Spoken:
    """The connection, which has %s for values."""

    def __init__(self, db: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._db = db

    def execute(self, sql: str, values: Sequence[Any] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._db.execute(sql.replace("?", "%s"), values)


class PostgresDatabase:
    """One connection, made anew where it broke."""

    def __init__(self, address: str, now: Callable[[], float] = time.time) -> None:
        """Raises StateError for a server that is not there, refuses, or holds tables of a newer version."""
        self._address, self.now, self._lock = address, now, threading.Lock()
        self._db: psycopg.Connection[tuple[Any, ...]] | None = None
        self._away = -PAUSE  # when the server was found away; by time.monotonic
        try:
            self._prepare()
        except StateError:
            self.close()
            raise

    def _prepare(self) -> None:
        with self.writing(alone=True) as db:
            if db.execute(f"SELECT to_regclass('{NAME}.version')").fetchone()[0] is None:
                db.execute(f"CREATE SCHEMA IF NOT EXISTS {NAME}")
                db.execute("CREATE TABLE version (number BIGINT NOT NULL, secret TEXT NOT NULL)")
                db.execute("INSERT INTO version VALUES (0, ?)", (str(secrets.randbits(128)),))
            version = db.execute("SELECT number FROM version").fetchone()[0]
            for statement in statements(version):
                db.execute(statement.replace("BLOB", "BYTEA"))
            if version < SCHEMA:
                db.execute("UPDATE version SET number = ?", (SCHEMA,))
        if version > SCHEMA:
            raise StateError(
                f"--gateway.database was written by a newer Assay (schema {version}, this one knows {SCHEMA})"
            )

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[_Spoken]:
        """A transaction. Raises StateError."""
        with self._lock, self._told():
            db = self._live()
            with db.transaction():
                if alone:
                    db.execute("SELECT pg_advisory_xact_lock(%s)", (_ALONE,))
                yield _Spoken(db)

    @contextmanager
    def reading(self) -> Iterator[_Spoken]:
        """The connection. Raises StateError."""
        with self._lock, self._told():
            yield _Spoken(self._live())

    def secret(self) -> int:
        """The bits that the first of all gateways drew. Raises StateError."""
        with self.reading() as db:
            return int(db.execute("SELECT secret FROM version").fetchone()[0])

    def tidy(self) -> None:
        """Nothing: the server reuses what was deleted in its own time."""

    def _live(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection that answers."""
        if self._db is not None:
            try:
                self._db.execute("SELECT 1")
                return self._db
            except psycopg.OperationalError:
                self.close()
        if time.monotonic() < self._away + PAUSE:
            raise psycopg.OperationalError("the server was away a moment ago")
        try:
            self._db = psycopg.connect(self._address, autocommit=True, connect_timeout=5, prepare_threshold=None)
        except psycopg.OperationalError:
            self._away = time.monotonic()
            raise
        for statement in _SETTINGS:
            self._db.execute(statement)
        return self._db

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            reason = printable(" ".join(without_credentials(str(error)).split()))[:200]
            raise StateError(f"--gateway.database cannot be used: {reason}") from error

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
