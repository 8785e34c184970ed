"""What keys, jobs and answers are kept in: one interface, and the tables that every dialect of SQL has alike.

Statements are written once: with `?` for values, and with what PostgreSQL says of locks, which SQLite does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

BUSY_SECONDS: Final = 5.0  # to wait for another process that writes
LEASE_SECONDS: Final = 30.0  # for which what was taken is one process's, from when it last said so
_FIRST: Final = (
    """CREATE TABLE keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest BLOB NOT NULL, scopes TEXT NOT NULL,
    rate DOUBLE PRECISION NOT NULL, quota BIGINT NOT NULL, webhook TEXT NOT NULL, created DOUBLE PRECISION NOT NULL,
    revoked DOUBLE PRECISION, tokens DOUBLE PRECISION NOT NULL, counted DOUBLE PRECISION NOT NULL,
    day BIGINT NOT NULL, spent BIGINT NOT NULL)""",
    """CREATE TABLE jobs (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, created DOUBLE PRECISION NOT NULL, until DOUBLE PRECISION NOT NULL,
    state TEXT NOT NULL, lease DOUBLE PRECISION NOT NULL, tries BIGINT NOT NULL, upload BLOB, answer TEXT NOT NULL)""",
    "CREATE INDEX waiting ON jobs (state, created)",
    """CREATE TABLE answers (
    key TEXT NOT NULL, token TEXT NOT NULL, digest BLOB NOT NULL, until DOUBLE PRECISION NOT NULL,
    status BIGINT, body TEXT, location TEXT, PRIMARY KEY (key, token))""",
)
_QUOTAS: Final = (
    "CREATE TABLE quotas (key TEXT NOT NULL, day BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (key, day))",
    "INSERT INTO quotas SELECT id, day, spent FROM keys WHERE spent > 0",
    "ALTER TABLE keys DROP COLUMN day",
    "ALTER TABLE keys DROP COLUMN spent",
)
_JOBS: Final = (
    "ALTER TABLE answers ADD COLUMN turn TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE jobs ADD COLUMN day BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN request TEXT NOT NULL DEFAULT ''",
)
_STEPS: Final = (_FIRST, (*_QUOTAS, *_JOBS))
SCHEMA: Final = len(_STEPS)
TABLES: Final = ("keys", "quotas", "jobs", "answers")


def statements(version: int) -> list[str]:
    """What makes the tables of SCHEMA of those of an older version; 0 has none."""
    return [statement for step in _STEPS[version:] for statement in step]


class Rows(Protocol):
    """What a statement brought, or how many rows it changed."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """Where statements are sent."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        """One statement with a value for each `?`."""


class Database(Protocol):
    """Used by one thread at a time; others wait. `now` gives seconds since 1970. Every method raises StateError."""

    now: Callable[[], float]

    def writing(self, *, alone: bool = False) -> AbstractContextManager[Connection]:
        """A transaction. `alone`: no other of its kind goes on beside it, in whatever process."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Single statements that change nothing."""

    def secret(self) -> int:
        """128 secret bits that all processes over this database have in common."""

    def tidy(self) -> None:
        """Leave as little as can be of what was deleted."""

    def close(self) -> None: ...


def check(database: Database) -> None:
    """Raises StateError where requests cannot be counted or queued: a table is gone, or nothing can be written."""
    with database.writing() as db:
        for name in TABLES:
            db.execute(f"SELECT 1 FROM {name} LIMIT 1")
        db.execute("UPDATE keys SET name = name WHERE id = (SELECT MIN(id) FROM keys)")
