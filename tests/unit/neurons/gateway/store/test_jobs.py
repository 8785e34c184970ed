"""Jobs: whose they are, and what becomes of one whose process died."""

from __future__ import annotations

import pytest

from neurons.gateway.store.jobs import LEASE_SECONDS, TRIES, Jobs, State, TooMany
from tests.unit.neurons.gateway.store.stores import Store

MEDIA = b"a clip of which nothing may stay " * 1000


@pytest.fixture
def jobs(store: Store) -> Jobs:
    return Jobs(store.open(), keep=3600, of_key=2, most=3)


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


def test_a_process_that_died_is_replaced(store: Store, jobs: Jobs) -> None:
    """Its job is taken up again when its time is over, and given up after a few deaths: a clip may be what kills."""
    job = jobs.put("a", MEDIA)
    for _ in range(TRIES):
        assert jobs.take() is not None
        assert jobs.take() is None
        store.clock.time += LEASE_SECONDS + 1
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


def test_answers_are_forgotten(store: Store, jobs: Jobs) -> None:
    """After the hours that the operator says, also where nobody asks for them."""
    job = jobs.put("a", MEDIA)
    taken = jobs.take()
    assert taken is not None
    jobs.finish(taken[0], State.DONE, '{"secret": "answer"}')
    store.clock.time += 3601
    assert jobs.find(job.id, "a") is None
    jobs.give_up("{}")
    with store.open().reading() as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone()[0] == 0


def test_who_was_taken_for_dead_answers_no_more(store: Store, jobs: Jobs) -> None:
    """A job is held for as long as its process says so; what a process says of it that lost it changes nothing."""
    job = jobs.put("a", MEDIA)
    first, other = jobs.take(), Jobs(store.open(), keep=3600, of_key=2, most=3)
    assert first is not None
    for _ in range(3):
        store.clock.time += LEASE_SECONDS - 1
        jobs.hold(first[0])
        assert other.take() is None
    store.clock.time += LEASE_SECONDS + 1
    second = other.take()
    assert second is not None
    jobs.hold(first[0])
    assert jobs.finish(first[0], State.DONE, '{"late": 1}') is None
    assert other.finish(second[0], State.DONE, "{}") is not None
    assert jobs.finish(first[0], State.FAILED, "{}") is None
    found = jobs.find(job.id, "a")
    assert found is not None
    assert (found.state, found.answer) == (State.DONE, "{}")


@pytest.mark.parametrize("id", ["", "a\0b", "\ud800", "a" * 100, "'"])
def test_what_is_no_id_is_not_there(jobs: Jobs, id: str) -> None:
    """Whatever stands in an address; no database is asked for what it cannot hold."""
    assert jobs.find(id, "a") is None
