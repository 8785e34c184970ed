"""Jobs: whose they are, what is kept of them, and what becomes of one whose process died."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neurons.gateway.store.database import Database
from neurons.gateway.store.jobs import LEASE_SECONDS, TRIES, Jobs, State, TooMany
from tests.unit.neurons.gateway.store.test_keys import Clock

MEDIA = b"a clip of which nothing may stay " * 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    made = Database(tmp_path / "gateway.db", clock)
    yield made
    made.close()


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, keep=3600, of_key=2, most=3)


def test_a_job_is_answered_once(jobs: Jobs) -> None:
    """First in, first out; two workers never get the same one; only its own key sees it."""
    first, second = jobs.put("a", b"1"), jobs.put("b", b"2")
    taken = jobs.take()
    assert taken is not None
    assert (taken[0].id, taken[1]) == (first.id, b"1")
    other = jobs.take()
    assert other is not None
    assert other[0].id == second.id
    assert jobs.take() is None
    done = jobs.finish(taken[0], State.DONE, "{}")
    assert jobs.find(first.id, "a") == done
    assert jobs.find(first.id, "b") is None
    assert jobs.waiting() == 1


def test_nothing_stays_of_an_upload(jobs: Jobs, database: Database) -> None:
    """With the answer the file is gone from the database and from the log beside it."""
    jobs.put("a", MEDIA)
    folder = database.path.parent
    assert any(MEDIA[:500] in path.read_bytes() for path in folder.iterdir())
    taken = jobs.take()
    assert taken is not None
    jobs.finish(taken[0], State.FAILED, "{}")
    assert not any(MEDIA[:33] in path.read_bytes() for path in folder.iterdir())


def test_a_process_that_died_is_replaced(jobs: Jobs, clock: Clock) -> None:
    """Its job is taken up again when its time is over, and given up after a few deaths: a clip may be what kills."""
    job = jobs.put("a", MEDIA)
    for _ in range(TRIES):
        assert jobs.take() is not None
        assert jobs.take() is None
        clock.time += LEASE_SECONDS + 1
        jobs.give_up("early")
    assert jobs.take() is None
    jobs.give_up("{}")
    gone = jobs.find(job.id, "a")
    assert gone is not None
    assert gone.state is State.FAILED


def test_bounds(jobs: Jobs) -> None:
    """So many of one key, so many in all; what is answered counts no more."""
    jobs.put("a", b"1")
    jobs.put("a", b"2")
    with pytest.raises(TooMany) as own:
        jobs.put("a", b"3")
    jobs.put("b", b"4")
    with pytest.raises(TooMany) as every:
        jobs.put("c", b"5")
    assert (own.value.own, every.value.own) == (True, False)
    taken = jobs.take()
    assert taken is not None
    jobs.finish(taken[0], State.DONE, "{}")
    jobs.put("a", b"6")


def test_answers_are_forgotten(jobs: Jobs, clock: Clock, database: Database) -> None:
    """After the hours that the operator says, also where nobody asks for them."""
    job = jobs.put("a", MEDIA)
    taken = jobs.take()
    assert taken is not None
    jobs.finish(taken[0], State.DONE, '{"secret": "answer"}')
    clock.time += 3601
    assert jobs.find(job.id, "a") is None
    jobs.give_up("{}")
    database.tidy()
    assert b"secret" not in database.path.read_bytes()
