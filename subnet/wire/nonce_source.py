"""The numbers a dendrite signs its requests with: the time in nanoseconds, and never one twice."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import compress
from typing import Final

MEMORY_SECONDS: Final = 7200.0  # for how long a number is remembered; axons remember an hour
SWEEP_SECONDS: Final = 600.0  # between two looks for what is older
CLOSE: Final = 10**6  # nanoseconds; numbers that are no further apart are remembered as one run
LONGEST: Final = 10**9  # nanoseconds of a run


class Nonces:
    """Gives the time now, moved on past the runs of numbers of the last two hours by the monotonic clock.

    So a clock that jumps ahead and back gives right times again at once, where counting on from the largest number
    would stamp every request ahead of time until the clock has caught up. The requests of a round follow each other
    closely: they are a run or a few, of 24 bytes each, however many miners are asked.
    """

    def __init__(
        self, now_ns: Callable[[], int] = time.time_ns, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._now_ns, self._monotonic = now_ns, monotonic
        self._lows, self._highs = array("q"), array("q")  # first and last number of each run, in order, apart
        self._used = array("d")  # when a number of the run was given last, by the monotonic clock
        self._swept = monotonic()

    def __len__(self) -> int:
        """How many runs are remembered."""
        return len(self._lows)

    def next(self) -> int:
        """A number that was not given before."""
        moment, nonce = self._monotonic(), self._now_ns()
        if moment - self._swept > SWEEP_SECONDS:
            self._sweep(moment)
        at = bisect_right(self._lows, nonce)  # the run before that place began at or before this number
        if at and nonce <= self._highs[at - 1]:
            nonce = self._highs[at - 1] + 1
        while at < len(self) and nonce == self._lows[at]:
            nonce, at = self._highs[at] + 1, at + 1
        if at and nonce - self._highs[at - 1] <= CLOSE and nonce - self._lows[at - 1] < LONGEST:
            self._highs[at - 1], self._used[at - 1] = nonce, moment
        else:
            self._lows.insert(at, nonce)
            self._highs.insert(at, nonce)
            self._used.insert(at, moment)
        return nonce

    def _sweep(self, moment: float) -> None:
        kept = [moment - used <= MEMORY_SECONDS for used in self._used]
        self._lows = array("q", compress(self._lows, kept))
        self._highs = array("q", compress(self._highs, kept))
        self._used, self._swept = array("d", compress(self._used, kept)), moment
