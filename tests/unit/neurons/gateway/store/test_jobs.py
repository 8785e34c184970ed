"""Jobs: whose they are, and what becomes of one whose process died."""

from __future__ import annotations

import pytest

from neurons.gateway.store.database import LEASE_SECONDS
from neurons.gateway.store.jobs import WAIT_SECONDS, Jobs, State, TooMany
from neurons.gateway.store.keys import Keys, Scope
from neurons.gateway.store.repeats import Answered, First, Repeats
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
    """Its job is taken up again when its time is over; how often is told, since a clip may be what kills. Nothing ends
    silently: the job waits until it is answered, however long ago it came."""
    job = jobs.put("a", MEDIA, "request-1", 7)
    for turn in range(1, 5):
        taken = jobs.take()
        assert taken is not None
        assert (taken[0].turn, taken[0].request, taken[0].day) == (turn, "request-1", 7)
        assert jobs.take() is None
        store.clock.time += LEASE_SECONDS + 1
    store.clock.time += 1_000_000
    jobs.forget()
    found = jobs.find(job.id, "a")
    assert found is not None
    assert found.state is State.RUNNING


def test_a_job_that_cannot_be_answered_now_waits(store: Store, jobs: Jobs) -> None:
    """Put back, it is taken again after its pause, as if it had not been taken, behind those that wait longer; whoever
    put it back has no say in it. Beyond a time it is not put back."""
    job = jobs.put("a", b"1")
    first = jobs.take()
    assert first is not None
    assert jobs.put_back(first[0], 5)
    assert jobs.finish(first[0], State.DONE, "{}") is None
    found = jobs.find(job.id, "a")
    assert found is not None
    assert (found.state, jobs.take()) == (State.QUEUED, None)
    other = jobs.put("b", b"2")
    store.clock.time += 6
    taken = [jobs.take(), jobs.take()]
    assert [each and (each[0].id, each[0].turn) for each in taken] == [(other.id, 1), (job.id, 1)]
    again = taken[1]
    assert again is not None
    assert jobs.put_back(again[0], 0)
    store.clock.time += WAIT_SECONDS
    last = jobs.take()
    assert last is not None
    assert (last[0].id, last[0].turn) == (job.id, 1)
    assert not jobs.put_back(last[0], 5)
    assert jobs.finish(last[0], State.FAILED, "{}") is not None


def test_what_does_not_count_is_as_if_it_had_not_come(store: Store, jobs: Jobs) -> None:
    """A job that failed by no fault of its client's: its day's quota has it back, and its Idempotency-Key is free."""
    keys, repeats = Keys(store.open()), Repeats(store.open(), keep=9000)
    key, _ = keys.add("shop", frozenset((Scope.VIDEO,)), 60, 9)
    for counts, spent, kind in ((False, 0, First), (True, 1, Answered)):
        job = jobs.put(key.id, b"1", day=keys.spend(key))
        first = repeats.begin(key.id, str(counts), b"1")
        assert isinstance(first, First)
        repeats.end(first, Answered(202, "{}", job.location))
        taken = jobs.take()
        assert taken is not None
        assert jobs.finish(taken[0], State.FAILED, "{}", counts=counts) is not None
        assert jobs.finish(taken[0], State.FAILED, "{}", counts=counts) is None
        assert [each.spent for each in keys.all()] == [spent]
        assert isinstance(repeats.begin(key.id, str(counts), b"1"), kind)


def test_a_clock_that_was_wrong_for_a_while(store: Store, jobs: Jobs) -> None:
    """What was queued or taken by it does not wait until that time comes."""
    store.clock.time += 1_000_000
    jobs.put("a", b"1")
    jobs.put("b", b"2")
    assert jobs.take() is not None
    store.clock.time -= 1_000_000
    assert [jobs.take() is not None for _ in range(3)] == [True, True, False]


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
    jobs.forget()
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
