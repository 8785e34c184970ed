"""Taking turns by hotkey, so that one validator's requests wait for its own and not for another's.

Turns are weighted: where all want more than there is, each hotkey is served in proportion to its weight, which is its
stake (`subnet.wire.admission.weight`), and whoever has just come waits for one turn of his own pace at most. So
validators with stake keep their latency while others ask for ten times of what a miner can do, and nobody is starved.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from subnet.wire.admission import GUEST

Item = TypeVar("Item")
Weight = Callable[[str], float]  # of a hotkey, above 0


def alike(hotkey: str) -> float:
    """Everybody has the same weight."""
    return 1.0


class FairQueue(Generic[Item]):
    """First in, first out for each hotkey; the hotkeys take turns, each as often as its weight says.

    Weighted fair queueing: an item is due 1/weight after its turn begins, and that is when the one before it in its
    line was due, or the beginning of the turn that is served when its line is new.
    """

    def __init__(self, weight: Weight = alike) -> None:
        self._lines: dict[str, deque[Item]] = {}
        self._due: dict[str, float] = {}
        self._weight, self._now, self._size = weight, 0.0, 0

    def __len__(self) -> int:
        return self._size

    def put(self, hotkey: str, item: Item) -> None:
        """To the end of this hotkey's line."""
        if hotkey not in self._lines:
            self._lines[hotkey], self._due[hotkey] = deque(), self._now + 1 / self._weight(hotkey)
        self._lines[hotkey].append(item)
        self._size += 1

    def take(self, may: Callable[[str, Item], bool] = lambda hotkey, item: True) -> Item | None:
        """The first item of the line that is due next and whose item `may` go; None when there is none."""
        for hotkey in sorted(self._lines, key=self._due.__getitem__):
            if may(hotkey, self._lines[hotkey][0]):
                break
        else:
            return None
        turn, line = 1 / self._weight(hotkey), self._lines.pop(hotkey)
        self._now = max(self._now, self._due[hotkey] - turn)
        self._due[hotkey] = max(self._now, self._due[hotkey]) + turn
        item = line.popleft()
        if line:
            self._lines[hotkey] = line  # behind those who are due at the same time
        self._lose(hotkey)
        return item

    def displace(self, hotkey: str) -> Item | None:
        """Give up the item that would be served last, where one of `hotkey` would come before it; else None."""
        ends = {other: self._due[other] + (len(line) - 1) / self._weight(other) for other, line in self._lines.items()}
        own = len(self._lines.get(hotkey, ())) / self._weight(hotkey)
        own += self._due[hotkey] if hotkey in self._due else self._now + 1 / self._weight(hotkey)
        last = max(ends, key=ends.__getitem__, default=hotkey)
        if last == hotkey or ends[last] <= own:
            return None
        item = self._lines[last].pop()
        if not self._lines[last]:
            del self._lines[last]
        self._lose(last)
        return item

    def _lose(self, hotkey: str) -> None:
        """An item of `hotkey` is gone."""
        self._size -= 1
        if hotkey not in self._lines:
            del self._due[hotkey]
        if not self._size:
            self._now = 0.0  # small again, so that no weight is lost in rounding


class Turns:
    """`room` units for all, of which one hotkey holds at most `share`, and all guests half; they wait in a fair queue.

    What costs more than `share` counts as `share`, so that it is possible at all.
    """

    def __init__(self, room: int, share: int, weight: Weight = alike) -> None:
        self._room, self._share, self._weight = room, share, weight
        self._held: dict[str, int] = {}
        self._waiting: FairQueue[tuple[int, asyncio.Future[None]]] = FairQueue(weight)

    @contextlib.asynccontextmanager
    async def turn(self, hotkey: str, cost: int = 1) -> AsyncIterator[None]:
        """Wait for `cost` units and hold them."""
        cost = min(cost, self._share)
        start: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(hotkey, (cost, start))
        self._admit()
        try:
            await start
            yield
        finally:
            if start.done() and not start.cancelled():
                self._hold(hotkey, -cost)
            self._admit()

    def _admit(self) -> None:
        while entry := self._waiting.take(self._may):
            _, start = entry
            if not start.cancelled():
                start.set_result(None)

    def _may(self, hotkey: str, entry: tuple[int, asyncio.Future[None]]) -> bool:
        """Whether an entry may leave the queue; it holds its units from then on."""
        cost, start = entry
        if start.cancelled():
            return True
        if self._held.get(hotkey, 0) + cost > self._share or sum(self._held.values()) + cost > self._room:
            return False
        if self._weight(hotkey) <= GUEST and (held := self._held_by_guests()) and held + cost > self._room // 2:
            return False
        self._hold(hotkey, cost)
        return True

    def _held_by_guests(self) -> int:
        return sum(held for hotkey, held in self._held.items() if self._weight(hotkey) <= GUEST)

    def _hold(self, hotkey: str, cost: int) -> None:
        held = self._held.get(hotkey, 0) + cost
        if held:
            self._held[hotkey] = held
        else:
            self._held.pop(hotkey, None)
