"""A PostgreSQL server that several gateways share, at once and while it comes and goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from neurons.gateway.store.database import Database, check
from neurons.gateway.store.jobs import Jobs, State, TooMany
from neurons.gateway.store.keys import Keys, Scope, Spent
from neurons.gateway.store.opening import open_database
from neurons.gateway.store.repeats import InHand, Repeats
from subnet.errors import StateError

THREADS = 6
opened = partial(open_database, Path())


@pytest.fixture
def databases(postgres: str) -> Iterator[list[Database]]:
    """One of each of six gateways, which begin at once over an empty server."""
    with ThreadPoolExecutor(THREADS) as executor:
        made = list(executor.map(opened, [postgres] * THREADS))
    yield made
    for database in made:
        database.close()


def at_once(databases: list[Database], do: Callable[[Database], list[str]]) -> Counter[str]:
    """What all of them come to in threads of their own."""
    with ThreadPoolExecutor(THREADS) as executor:
        return Counter(word for words in executor.map(do, databases) for word in words)


def test_each_job_is_taken_by_one(databases: list[Database]) -> None:
    """Sixty jobs, six gateways that take as fast as they can: each job once, none left."""
    first = Jobs(databases[0], keep=60, of_key=100, most=100)
    ids = [first.put("a", bytes(1000)).id for _ in range(60)]

    def take_all(database: Database) -> list[str]:
        jobs, taken = Jobs(database, keep=60, of_key=100, most=100), list[str]()
        while (found := jobs.take()) is not None:
            taken.append(found[0].id)
            assert jobs.finish(found[0], State.DONE, "{}") is not None
        return taken

    assert at_once(databases, take_all) == Counter(ids)
    assert first.waiting() == 0


def test_bounds_hold_for_all_together(databases: list[Database]) -> None:
    """Jobs that may wait, requests of a minute, and the one first request of an idempotency key."""
    key, _ = Keys(databases[0]).add("shop", frozenset((Scope.IMAGE,)), 8, 40)

    def crowd(database: Database) -> list[str]:
        jobs, keys, repeats, done = (
            Jobs(database, keep=60, of_key=9, most=7),
            Keys(database),
            Repeats(database, keep=9),
            [],
        )
        for number in range(10):
            for name, act in (
                ("job", lambda: jobs.put("a", b"x")),
                ("request", lambda: keys.admit(key)),
                ("file", lambda: keys.spend(key)),
                ("first", lambda number=number: repeats.begin("a", f"t{number}", b"1")),
            ):
                try:
                    act()
                    done.append(name)
                except (TooMany, Spent, InHand):
                    continue
        return done

    for database in databases:
        database.now = lambda: 1e9
    assert at_once(databases, crowd) == {"job": 7, "request": 8, "file": 40, "first": 10}


def test_a_connection_that_broke_is_made_anew(databases: list[Database], postgres: str) -> None:
    """Also all of them at once, as when the server starts again; what was in hand comes to nothing and is told."""
    import psycopg

    keys = Keys(databases[0])

    def cut_off() -> None:
        with databases[0].writing() as db:
            db.execute("INSERT INTO version VALUES (7, '7')")
            with psycopg.connect(postgres, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            db.execute("SELECT 1")

    with pytest.raises(StateError, match="gateway.database"):
        cut_off()
    assert keys.all() == []
    with databases[0].reading() as db:
        assert db.execute("SELECT count(*) FROM version").fetchone()[0] == 1


def test_a_server_that_is_away_is_not_waited_for_by_everybody(databases: list[Database], tmp_path: Path) -> None:
    """One looks for it, the others are told at once; soon after it is back all goes on."""
    database, keys = databases[0], Keys(databases[0])
    there, database._address = database._address, f"postgresql:///x?host={tmp_path}"  # type: ignore[attr-defined]
    database.close()
    with pytest.raises(StateError, match="connection"):
        keys.all()
    database._address = there  # type: ignore[attr-defined]
    with pytest.raises(StateError, match="a moment ago"):
        keys.all()
    database._away -= 60  # type: ignore[attr-defined]
    assert keys.all() == []


def test_what_health_looks_at(databases: list[Database], tmp_path: Path) -> None:
    """A server that is there, writes, and has every table."""
    database = databases[0]
    Keys(database).add("a", frozenset(Scope), 1.0, 1)
    check(database)
    with database.reading() as db:
        db.execute("SET default_transaction_read_only TO on")
    with pytest.raises(StateError, match="read-only"):
        check(database)
    with database.reading() as db:
        db.execute("SET default_transaction_read_only TO off")
        db.execute("DROP TABLE jobs")
    with pytest.raises(StateError, match="jobs"):
        check(database)
    database._address = f"postgresql:///x?host={tmp_path}"  # type: ignore[attr-defined]
    database.close()
    with pytest.raises(StateError, match="connection"):
        check(database)


def test_one_secret_for_all(databases: list[Database]) -> None:
    """Whichever of them signs a webhook."""
    assert len({database.secret() for database in databases}) == 1


def test_a_newer_schema_is_left_alone(databases: list[Database], postgres: str) -> None:
    """Told by the flag."""
    with databases[0].writing() as db:
        db.execute("UPDATE version SET number = 99")
    with pytest.raises(StateError, match="newer Assay"):
        opened(postgres)


@pytest.mark.parametrize(
    "address", ["postgresql://assay:very-secret@127.0.0.1:1/x", "postgresql://[", "postgresql:///x?no=1"]
)
def test_a_server_that_is_not_there(address: str) -> None:
    """One line with the flag, and without the password."""
    pytest.importorskip("psycopg")
    with pytest.raises(StateError, match="gateway.database") as told:
        opened(address)
    assert "very-secret" not in str(told.value)
    assert "\\" not in str(told.value)  # psycopg's own lines are joined, not shown as escapes
    assert "\n" not in str(told.value)
