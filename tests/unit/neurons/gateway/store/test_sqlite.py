"""The gateway's own file: private, refused where it is none, and with nothing left of what was deleted."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurons.gateway.store.jobs import Jobs, State
from neurons.gateway.store.keys import Keys, Scope
from neurons.gateway.store.sqlite import SqliteDatabase
from subnet.errors import StateError

MEDIA = b"a clip of which nothing may stay " * 1000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "state" / "gateway.db")
    yield made
    made.close()


def test_the_secret_is_not_kept(database: SqliteDatabase) -> None:
    """Whoever reads the file has no key, and only its owner may read it."""
    _, text = Keys(database).add("shop", frozenset((Scope.IMAGE,)), 60, 100)
    database.tidy()
    data = b"".join(path.read_bytes() for path in database.path.parent.iterdir())
    assert b"shop" in data
    assert text.split("_", 2)[2].encode() not in data
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.path.parent.stat().st_mode) == 0o700


def test_nothing_stays_of_an_upload(database: SqliteDatabase) -> None:
    """With the answer the file is gone from the database and from the log beside it."""
    jobs, folder = Jobs(database, keep=3600, of_key=2, most=3), database.path.parent
    jobs.put("a", MEDIA)
    assert any(MEDIA[:500] in path.read_bytes() for path in folder.iterdir())
    taken = jobs.take()
    assert taken is not None
    jobs.finish(taken[0], State.FAILED, "{}")
    assert not any(MEDIA[:33] in path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("damage", [b"no database at all, but long enough to be looked at" * 99, None])
def test_a_file_that_is_none(tmp_path: Path, damage: bytes | None) -> None:
    """Damaged, or of a newer program: told with its name, and left as it is."""
    path = tmp_path / "gateway.db"
    if damage is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(damage)
    before = path.read_bytes()
    with pytest.raises(StateError, match=r"gateway\.db"):
        SqliteDatabase(path)
    assert path.read_bytes() == before


def test_no_file_is_begun_beside_the_log_of_another(tmp_path: Path) -> None:
    """The file was moved away and its log was not: told, and neither made anew nor emptied."""
    log = tmp_path / "gateway.db-wal"
    log.write_bytes(b"keys of before")
    with pytest.raises(StateError, match=r"gateway\.db is missing, but gateway\.db-wal of it is there"):
        SqliteDatabase(tmp_path / "gateway.db")
    assert log.read_bytes() == b"keys of before"
