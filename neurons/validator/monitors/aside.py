"""Facts of rounds for a monitor elsewhere: a thread of its own hands them on, and no round ever waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from neurons.log import Log

ROOM: Final = 1000  # facts that wait
Fact = Mapping[str, float]


class Sink(Protocol):
    """Where facts go. Both may block for as long as they like; raises OSError for what it could not do."""

    def send(self, fact: Fact) -> None: ...

    def close(self) -> None: ...


class Aside:
    """Opens a sink in its thread and feeds it. What finds no room is dropped and counted; so is what is not taken.

    `lost` counts both. A sink that cannot be opened is told and not tried again.
    """

    def __init__(self, open_sink: Callable[[], Sink], log: Log, room: int = ROOM) -> None:
        self._open, self._log = open_sink, log
        self._queue: queue.Queue[Fact | None] = queue.Queue(room)
        self.lost = 0
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._thread.start()

    def put(self, fact: Fact) -> None:
        """Hand on `fact`, or lose it. Returns at once."""
        try:
            if not self._thread.is_alive():
                raise queue.Full
            self._queue.put_nowait(fact)
        except queue.Full:
            self._lose("too many facts wait for the monitor")

    def close(self, patience: float) -> None:
        """Hand on what waits, for `patience` seconds at most."""
        try:
            self._queue.put(None, timeout=patience / 2)
        except queue.Full:
            return
        self._thread.join(patience / 2)

    def _run(self) -> None:
        try:
            sink = self._open()
        except OSError as error:
            self._lose(f"the monitor cannot be used: {error}")
            return
        while (fact := self._queue.get()) is not None:
            try:
                sink.send(fact)
            except OSError as error:
                self._lose(f"the monitor took no fact: {error}")
        sink.close()

    def _lose(self, why: str) -> None:
        self.lost += 1
        if why != self._told:
            self._log.warning("monitor", why=why, lost=self.lost)
        self._told = why
