"""Room for bodies: what one account takes, no other lacks, and everything comes back."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import SettingsError
from subnet.wire.bodies import UNPROVEN, Bodies, BodyLimits, NoRoom

MB = 2**20
LIMITS = BodyLimits(
    total_bytes=40 * MB, hotkey_bytes=20 * MB, hotkey_bodies=3, unproven_bytes=16 * MB, unproven_bodies=2
)
REQUESTS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", UNPROVEN]), st.integers(0, 16 * MB)), max_size=30)


@given(REQUESTS)
def test_no_limit_is_ever_passed_and_all_comes_back(requests: list[tuple[str, int]]) -> None:
    """Whoever asks for whatever: every sum stays within its limit, and after the last body nothing is held."""
    bodies = Bodies(LIMITS)
    held: list[tuple[str, int]] = []
    with contextlib.ExitStack() as stack:
        for hotkey, size in requests:
            with contextlib.suppress(NoRoom):
                stack.enter_context(bodies.room(hotkey, size))
                held.append((hotkey, size))
            proven = [size for hotkey, size in held if hotkey != UNPROVEN]
            assert sum(proven) == bodies.proven_bytes <= LIMITS.total_bytes
            for name in "abc":
                own = [size for hotkey, size in held if hotkey == name]
                assert sum(own) <= LIMITS.hotkey_bytes
                assert len(own) <= LIMITS.hotkey_bodies
            unproven = [size for hotkey, size in held if hotkey == UNPROVEN]
            assert sum(unproven) <= LIMITS.unproven_bytes
            assert len(unproven) <= LIMITS.unproven_bodies
    assert bodies == Bodies(LIMITS)


@given(st.lists(st.integers(0, 16 * MB), max_size=30))
def test_the_unproven_take_nothing_from_the_proven(sizes: list[int]) -> None:
    """However many unproven bodies are in hand, a proven hotkey finds its whole share."""
    bodies = Bodies(LIMITS)
    with contextlib.ExitStack() as stack:
        for size in sizes:
            with contextlib.suppress(NoRoom):
                stack.enter_context(bodies.room(UNPROVEN, size))
        with bodies.room("a", LIMITS.hotkey_bytes):
            pass


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 16 * MB)), max_size=30))
def test_guests_take_a_part_only(requests: list[tuple[str, int]]) -> None:
    """However much guests want, together they have their part, a validator finds its share, and all comes back."""
    limits = replace(LIMITS, guest_bytes=16 * MB, guest_bodies=4)
    bodies, held = Bodies(limits), list[int]()
    with contextlib.ExitStack() as stack:
        for hotkey, size in requests:
            with contextlib.suppress(NoRoom):
                stack.enter_context(bodies.room(hotkey, size, guest=True))
                held.append(size)
        assert sum(held) <= 16 * MB
        assert len(held) <= 4
        with bodies.room("validator", limits.hotkey_bytes):
            pass
    assert bodies == Bodies(limits)


def test_what_each_refusal_says() -> None:
    """429 to the hotkey that fills its own share, 503 where all are full; the unproven are told of the header."""
    bodies = Bodies(LIMITS)
    with bodies.room("a", 20 * MB), pytest.raises(NoRoom) as own, bodies.room("a", 1):
        pass
    with bodies.room("a", 20 * MB), bodies.room("b", 20 * MB), pytest.raises(NoRoom) as every, bodies.room("c", 1):
        pass
    with bodies.room(UNPROVEN, 16 * MB), pytest.raises(NoRoom, match="X-Assay-Digest"), bodies.room(UNPROVEN, 1):
        pass
    assert (own.value.refused.status, every.value.refused.status) == (429, 503)


@pytest.mark.parametrize("name", ["total_bytes", "hotkey_bytes", "unproven_bytes"])
def test_limits_that_hold_no_video(name: str) -> None:
    """Each budget must hold one of the largest bodies, else that could never be served."""
    with pytest.raises(SettingsError, match=name):
        BodyLimits(**{name: 16 * MB - 1})
