"""The numbers a dendrite signs its requests with: the time in nanoseconds, and never one twice."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

MEMORY_SECONDS: Final = 7200.0  # for how long a number is remembered; axons remember an hour


class Nonces:
    """Gives the time now, moved on past the numbers of the last two hours by the monotonic clock.

    So a clock that jumps ahead and back gives right times again at once, where counting on from the largest number
    would stamp every request ahead of time until the clock has caught up.
    """

    def __init__(
        self, now_ns: Callable[[], int] = time.time_ns, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._now_ns, self._monotonic = now_ns, monotonic
        self._next: dict[int, int] = {}  # a used number, and one beyond it that may be free
        self._order: deque[tuple[float, int]] = deque()

    def next(self) -> int:
        """A number that was not given before."""
        moment = self._monotonic()
        while self._order and moment - self._order[0][0] > MEMORY_SECONDS:
            del self._next[self._order.popleft()[1]]
        first = nonce = self._now_ns()
        while nonce in self._next:
            nonce = self._next[nonce]
        self._next[nonce] = nonce + 1
        if first != nonce:
            self._next[first] = nonce + 1  # under a clock that stands, the way is not walked again
        self._order.append((moment, nonce))
        return nonce
