"""The dendrite's nonces: the time, never twice, and right again as soon as the clock is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subnet.wire.nonce_source import CLOSE, LONGEST, MEMORY_SECONDS, SWEEP_SECONDS, Nonces

SECOND = 10**9
NOW = 1_800_000_000 * SECOND


@given(st.lists(st.one_of(st.integers(-50, 50), st.integers(-2 * CLOSE, 2 * CLOSE)), max_size=200))
def test_no_number_twice_and_none_far_from_the_clock(moves: list[int]) -> None:
    """However the clock moves, numbers differ, and none is further ahead than the clock went back."""
    clock = [NOW]
    nonces = Nonces(lambda: clock[0], lambda: 0.0)
    given_out: list[int] = []
    for move in moves:
        clock[0] += move
        given_out.append(nonces.next())
        assert 0 <= given_out[-1] - clock[0] <= sum(-back for back in moves if back < 0) + len(given_out)
    assert len(set(given_out)) == len(given_out)


def test_a_clock_put_back_within_steady_traffic() -> None:
    """Fifty seconds of requests, one each half millisecond, then the clock is put back by half: stamps follow within 2 s."""
    clock = [NOW]
    nonces = Nonces(lambda: clock[0], lambda: 0.0)
    used = set()
    for _ in range(100_000):
        clock[0] += CLOSE // 2
        used.add(nonces.next())
    clock[0] -= 25 * SECOND
    for _ in range(10_000):
        clock[0] += CLOSE // 2
        used.add(nonce := nonces.next())
        assert 0 <= nonce - clock[0] <= 2 * LONGEST
    assert len(used) == 110_000


def test_a_jump_of_an_hour_and_back() -> None:
    """Stamps follow the clock ahead and back at once; the second pass over the same hour repeats none."""
    clock, moment = [NOW], [0.0]
    nonces = Nonces(lambda: clock[0], lambda: moment[0])
    ahead = []
    for n in range(100):
        clock[0] = NOW + 3600 * SECOND + n
        ahead.append(nonces.next())
    clock[0] = NOW + SECOND
    assert nonces.next() == NOW + SECOND
    moment[0] = 3600.0
    again = []
    for n in range(100):
        clock[0] = NOW + 3600 * SECOND + n
        again.append(nonces.next())
    assert not set(ahead) & set(again)


def test_a_clock_that_stands_costs_no_walk() -> None:
    """A hundred thousand numbers of one moment are given in a moment."""
    nonces = Nonces(lambda: NOW, lambda: 0.0)
    assert [nonces.next() for _ in range(100_000)] == list(range(NOW, NOW + 100_000))


def test_what_is_old_is_forgotten() -> None:
    """Memory holds two hours, however long a validator runs, and a round takes as much whatever it asks."""
    clock, moment = [NOW], [0.0]
    nonces = Nonces(lambda: clock[0], lambda: moment[0])
    for n in range(300):
        clock[0], moment[0] = NOW + n * 60 * SECOND, n * 60.0
        for _ in range(64):
            clock[0] += CLOSE // 10
            nonces.next()
    assert len(nonces) <= (MEMORY_SECONDS + SWEEP_SECONDS) / 60 + 1
