"""What keeps a validator's state from growing for ever: beside the rounds, and never in their way."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from neurons.log import Log, Notes
from neurons.signals import pause
from subnet.errors import StateError
from subnet.evidence.journal import Journal
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import Pool

LOOK_SECONDS: Final = 60.0
REMEMBER: Final = 30 * 86_400.0  # seconds for which the ledger keeps what was asked after its item left the pool


class Upkeep:
    """Finishes segments of the journal, forgets in the ledger what can no longer be asked, and gives memory back.

    An item is forgotten once it was last asked `REMEMBER` seconds ago and its content lies in the pool no more.
    """

    def __init__(self, journal: Journal, ledger: Ledger, pool: Pool, executor: Executor, log: Log) -> None:
        self._journal, self._ledger, self._pool = journal, ledger, pool
        self._executor, self._log, self._notes = executor, log, Notes(log)

    async def run(self, stop: asyncio.Event) -> None:
        """Look once a minute until `stop`. What fails is logged, and tried again at the next look."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            while await loop.run_in_executor(self._executor, self._try, self.finish_segment) and not stop.is_set():
                pass  # an old journal has many to finish: a stop waits for one of them at most
            await loop.run_in_executor(self._executor, self._try, self.forget)
            await loop.run_in_executor(self._executor, give_back)
            await pause(stop, LOOK_SECONDS)

    def _try(self, task: Callable[[], bool]) -> bool:
        event = f"upkeep: {task.__name__}"
        try:
            done = task()
        except (StateError, OSError) as error:
            self._notes.tell(event, str(error), logging.ERROR, error=str(error))
            return False
        self._notes.mend(event)
        return done

    def finish_segment(self) -> bool:
        """Move what is old enough out of the live journal; whether there was something."""
        segment = self._journal.finish_segment()
        if segment is not None:
            self._log.info("a part of the journal is finished", file=str(segment.path), until=segment.last)
        return segment is not None

    def forget(self, now: float | None = None) -> bool:
        """Drop from the ledger what can no longer be asked; whether something was. A refusing disk is logged."""
        why, unwritten = self._ledger.refusal, self._ledger.unwritten
        if unwritten:
            self._notes.tell("the ledger cannot be written", why, logging.ERROR, error=why, unwritten=unwritten)
        else:
            self._notes.mend("the ledger cannot be written")
        before = (time.time() if now is None else now) - REMEMBER
        if self._ledger.oldest() >= before:
            return False
        present = [item.content for cell in self._pool.cells() for item in self._pool.items(cell)]
        if dropped := self._ledger.forget(before, present):
            self._log.info("the ledger forgot items that left the pool", items=dropped)
        return dropped > 0


def give_back() -> bool:
    """Return to the system what was freed, in the areas of all threads; whether something was.

    glibc keeps what is free below the end of an area, and what large media and tables took in each thread that made
    some: tens of megabytes. Takes milliseconds. Other C libraries have no such function, and some no such habit.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))
