"""Idempotency keys: one file, one answer."""

from __future__ import annotations

import pytest

from neurons.gateway.store.repeats import IN_HAND_SECONDS, Answered, Different, InHand, Repeats
from tests.unit.neurons.gateway.store.stores import Store

ANSWER = Answered(202, "{}", "/v1/jobs/1")


@pytest.fixture
def repeats(store: Store) -> Repeats:
    return Repeats(store.open(), keep=60)


def test_the_second_gets_the_first_ones_answer(store: Store, repeats: Repeats) -> None:
    """For as long as answers are kept; under another key the same token is another one."""
    assert repeats.begin("a", "t", b"1") is None
    repeats.end("a", "t", ANSWER)
    assert repeats.begin("a", "t", b"1") == ANSWER
    assert repeats.begin("b", "t", b"1") is None
    store.clock.time += 61
    assert repeats.begin("a", "t", b"1") is None


def test_one_at_a_time_and_one_file(store: Store, repeats: Repeats) -> None:
    """The same token meanwhile, or with another file, is refused; one whose process died may come again."""
    repeats.begin("a", "t", b"1")
    with pytest.raises(InHand):
        repeats.begin("a", "t", b"1")
    with pytest.raises(Different):
        repeats.begin("a", "t", b"2")
    store.clock.time += IN_HAND_SECONDS + 1
    assert repeats.begin("a", "t", b"1") is None


def test_what_came_to_nothing_is_tried_again(repeats: Repeats) -> None:
    """A failure of ours is not an answer."""
    repeats.begin("a", "t", b"1")
    repeats.end("a", "t", None)
    assert repeats.begin("a", "t", b"1") is None
