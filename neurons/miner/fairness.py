"""Taking turns by hotkey, so that one validator's requests wait for its own and not for another's."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """First in, first out for each hotkey; the hotkeys take turns."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, hotkey: str, item: Item) -> None:
        """To the end of this hotkey's line."""
        self._lines.setdefault(hotkey, deque()).append(item)
        self._size += 1

    def take(self, may: Callable[[str, Item], bool] = lambda hotkey, item: True) -> Item | None:
        """The first item of the next hotkey in turn whose item `may` go; None when there is none."""
        for hotkey, line in self._lines.items():
            if may(hotkey, line[0]):
                break
        else:
            return None
        item = line.popleft()
        self._size -= 1
        self._lines.move_to_end(hotkey)
        if not line:
            del self._lines[hotkey]
        return item


class Turns:
    """`room` units for all, of which one hotkey holds at most `share`; who finds none waits in a fair queue.

    What costs more than `share` counts as `share`, so that it is possible at all.
    """

    def __init__(self, room: int, share: int) -> None:
        self._room, self._share = room, share
        self._held: dict[str, int] = {}
        self._waiting: FairQueue[tuple[int, asyncio.Future[None]]] = FairQueue()

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
        self._hold(hotkey, cost)
        return True

    def _hold(self, hotkey: str, cost: int) -> None:
        held = self._held.get(hotkey, 0) + cost
        if held:
            self._held[hotkey] = held
        else:
            self._held.pop(hotkey, None)
