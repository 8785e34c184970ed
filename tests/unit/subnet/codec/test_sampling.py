"""Where the runs of a long clip begin."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from subnet.codec.sampling import Run, spread


def cost(runs: list[Run]) -> int:
    """Frames that are decoded for `runs`, on from the last run where the keyframe lies before its end."""
    total, end = 0, 0
    for number, run in enumerate(runs):
        start = run.key if run.key >= end or number == 0 else end
        total += run.first + run.count - start
        end = run.first + run.count
    return total


@given(st.integers(1, 400), st.sets(st.integers(0, 399)), st.integers(1, 9), st.integers(1, 5), st.integers(1, 500))
def test_runs_keep_their_order_and_their_budget(
    count: int, marks: set[int], runs: int, length: int, affordable: int
) -> None:
    """Runs lie within the clip, in order, apart, behind their keyframes, and cost what was allowed."""
    keys = sorted({0, *(mark for mark in marks if mark < count)})
    chosen = spread([0.04 * number for number in range(count)], keys, runs=runs, length=length, affordable=affordable)
    assert 1 <= len(chosen) <= runs
    assert all(run.key in keys and run.key <= run.first and run.first + run.count <= count for run in chosen)
    assert all(a.first + a.count <= b.first for a, b in itertools.pairwise(chosen))
    assert cost(chosen) <= max(affordable, runs * length)


def test_runs_are_spread_over_time_and_not_over_numbers() -> None:
    """Half of a clip's time holds 10 of its frames: half of the runs lie there."""
    times = [0.01 * number for number in range(1000)] + [10 + number for number in range(10)]
    chosen = spread(times, range(len(times)), runs=4, length=1, affordable=10**6)
    assert [round(times[run.first]) for run in chosen] == [2, 7, 12, 17]


def test_without_keyframes_only_what_can_be_afforded_is_reached() -> None:
    """One keyframe, and a budget of a tenth of the clip: the runs lie in that tenth, still apart."""
    chosen = spread([float(number) for number in range(1000)], [0], runs=5, length=4, affordable=100)
    assert [run.first + run.count for run in chosen] == [20, 40, 60, 80, 100]
