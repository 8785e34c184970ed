"""Idempotency keys: one file, one answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from neurons.gateway.store import holding
from neurons.gateway.store.database import LEASE_SECONDS
from neurons.gateway.store.repeats import Answered, Different, First, InHand, Repeats
from subnet.errors import StateError
from tests.unit.neurons.gateway.store.stores import Store

ANSWER = Answered(202, "{}", "/v1/jobs/1")


@pytest.fixture
def repeats(store: Store) -> Repeats:
    return Repeats(store.open(), keep=60)


def begun(repeats: Repeats, key: str = "a", digest: bytes = b"1") -> First:
    """What must be the first request under its token."""
    first = repeats.begin(key, "t", digest)
    assert isinstance(first, First)
    return first


def test_the_second_gets_the_first_ones_answer(store: Store, repeats: Repeats) -> None:
    """For as long as answers are kept; under another key the same token is another one."""
    repeats.end(begun(repeats), ANSWER)
    assert repeats.begin("a", "t", b"1") == ANSWER
    begun(repeats, "b")
    store.clock.time += 61
    begun(repeats)


def test_one_at_a_time_and_one_file(store: Store, repeats: Repeats) -> None:
    """The same token meanwhile, or with another file, is refused, for as long as the first process says that it is
    there; one whose process died may come again."""
    first = begun(repeats)
    for _ in range(9):
        with pytest.raises(InHand):
            repeats.begin("a", "t", b"1")
        with pytest.raises(Different):
            repeats.begin("a", "t", b"2")
        store.clock.time += LEASE_SECONDS - 1
        repeats.hold(first)
    store.clock.time += LEASE_SECONDS + 1
    begun(repeats)


@pytest.mark.parametrize("other", [b"1", b"2"])
def test_who_was_taken_for_dead_answers_no_more(store: Store, repeats: Repeats, other: bytes) -> None:
    """Its answer is neither kept for another file nor in place of a later one, and it ends nobody else's turn."""
    late = begun(repeats)
    store.clock.time += LEASE_SECONDS + 1
    second = begun(Repeats(store.open(), keep=60), digest=other)
    for answer in (ANSWER, None):
        repeats.hold(late)
        repeats.end(late, answer)
        with pytest.raises(InHand):
            repeats.begin("a", "t", other)
    mine = Answered(200, "mine")
    repeats.end(second, mine)
    for answer in (ANSWER, None):
        repeats.end(late, answer)
        assert repeats.begin("a", "t", other) == mine


def test_an_answer_that_nobody_waited_for_is_kept(store: Store, repeats: Repeats) -> None:
    """A process that was held up for long, in whose place no other came, answers all the same."""
    late = begun(repeats)
    store.clock.time += LEASE_SECONDS + 1
    repeats.forget()
    repeats.end(late, ANSWER)
    assert repeats.begin("a", "t", b"1") == ANSWER


def test_what_came_to_nothing_is_tried_again(repeats: Repeats) -> None:
    """A failure of ours is not an answer."""
    repeats.end(begun(repeats), None)
    begun(repeats)


def test_answers_are_forgotten(store: Store, repeats: Repeats) -> None:
    """Also where no other request comes."""
    repeats.end(begun(repeats), ANSWER)
    store.clock.time += 61
    repeats.forget()
    with store.open().reading() as db:
        assert db.execute("SELECT count(*) FROM answers").fetchone()[0] == 0


async def test_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said to be so again and again, also after a database that was away for a moment, until the end."""
    monkeypatch.setattr(holding, "LEASE_SECONDS", 0.04)
    enough, said = threading.Event(), []

    def hold() -> None:
        said.append(1)
        if len(said) > 3:
            enough.set()
        raise StateError("away")

    async with holding.held(hold):
        assert await asyncio.to_thread(enough.wait, 30)
    await asyncio.sleep(0.05)
    count = len(said)
    await asyncio.sleep(0.05)
    assert len(said) == count
