"""Idempotency keys: one file, one answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neurons.gateway.store.database import Database
from neurons.gateway.store.repeats import IN_HAND_SECONDS, Answered, Different, InHand, Repeats
from tests.unit.neurons.gateway.store.test_keys import Clock

ANSWER = Answered(202, "{}", "/v1/jobs/1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repeats(tmp_path: Path, clock: Clock) -> Iterator[Repeats]:
    database = Database(tmp_path / "gateway.db", clock)
    yield Repeats(database, keep=60)
    database.close()


def test_the_second_gets_the_first_ones_answer(repeats: Repeats, clock: Clock) -> None:
    """For as long as answers are kept; under another key the same token is another one."""
    assert repeats.begin("a", "t", b"1") is None
    repeats.end("a", "t", ANSWER)
    assert repeats.begin("a", "t", b"1") == ANSWER
    assert repeats.begin("b", "t", b"1") is None
    clock.time += 61
    assert repeats.begin("a", "t", b"1") is None


def test_one_at_a_time_and_one_file(repeats: Repeats, clock: Clock) -> None:
    """The same token meanwhile, or with another file, is refused; one whose process died may come again."""
    repeats.begin("a", "t", b"1")
    with pytest.raises(InHand):
        repeats.begin("a", "t", b"1")
    with pytest.raises(Different):
        repeats.begin("a", "t", b"2")
    clock.time += IN_HAND_SECONDS + 1
    assert repeats.begin("a", "t", b"1") is None


def test_what_came_to_nothing_is_tried_again(repeats: Repeats) -> None:
    """A failure of ours is not an answer."""
    repeats.begin("a", "t", b"1")
    repeats.end("a", "t", None)
    assert repeats.begin("a", "t", b"1") is None
