"""Which frames of a long clip to decode: runs of successive frames, spread evenly over its time.

Decoding starts at keyframes, and every frame between a keyframe and the run after it costs as much as one that is kept.
So each run begins at its place in time where that is affordable, and as near as can be afforded behind a keyframe else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """`count` frames from number `first` on in order of presentation; decoding begins at the keyframe `key` before."""

    key: int
    first: int
    count: int


def spread(times: Sequence[float], keys: Sequence[int], *, runs: int, length: int, affordable: int) -> list[Run]:
    """At most `runs` runs of `length` frames, in order and without overlap, decoding some `affordable` frames in all.

    `times` are those of all frames, rising; `keys` the numbers of keyframes. The middle of the nth run lies near the
    middle of the nth of `runs` equal parts of time.
    """
    keys = keys or [0]
    span, each = times[-1] - times[0], max(length, affordable // runs)
    chosen: list[Run] = []
    end = 0  # the number after the last frame that was chosen
    for number in range(runs):
        middle = times[0] + span * (number + 0.5) / runs
        wanted = bisect_left(times, middle) - length // 2
        wanted = max(end, min(wanted, len(times) - length))
        key = keys[max(0, bisect_right(keys, wanted) - 1)]
        from_here = max(key, end) if chosen else key  # whichever is nearer: on from the last run, or from the keyframe
        first = max(end, min(wanted, from_here + each - length))
        count = min(length, len(times) - first)
        if count > 0:
            chosen.append(Run(key, first, count))
            end = first + count
    return chosen
