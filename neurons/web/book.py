"""One journal of a site: read once, followed as it grows, and asked by requests meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

from neurons.web.disclosure import Asked
from neurons.web.sources import End, Source
from neurons.web.summary import ROUNDS, Summary
from subnet.errors import JournalBroken, StateError, SubnetError
from subnet.evidence.entries.entry import BEGINNING, Entry
from subnet.evidence.entries.marks import Marks
from subnet.evidence.records import RoundRecord, read_record
from subnet.game.likeness import RATE, Likeness, likeness

NOBODY: Final = Likeness(RATE, 0, (), ())


class Unready(SubnetError):
    """A journal that cannot be shown now: it is damaged, of another version, or still being read."""


class Book:
    """`number` is its place on the site, from 1. A thread calls `refresh`; others open it meanwhile."""

    def __init__(self, number: int, source: Source, keep: int = ROUNDS) -> None:
        self.number, self.source = number, source
        self.fault = ""  # why it cannot be shown, "" when it can
        self.total = 0  # entries that there are
        self.read_at = 0.0  # time of the last look at it, seconds since 1970
        self.likeness = NOBODY
        self.version = 0  # counts what changed: pages of the same one are the same
        self._keep, self._summary, self._lock = keep, Summary(keep), threading.Lock()
        self._end: End | None = None  # of what was read, None before
        self._marks = Marks()  # of the files that it was read from
        self._whole, self._compared = False, 0  # rounds whose answers were compared
        self._loaded: dict[int, Entry] = {}

    def refresh(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Read what is new. A journal that does not go on from what was read is read from its beginning, once.

        One whose finished parts are not those that were read does not; of one that was only touched the live entries
        are looked through once more.
        """
        try:
            end = self.source.end()
        except StateError as error:
            self.fault, self._end = self.source.told(error), None
            self.version += 1
            return
        self.read_at, self.total = time.time(), end.seq
        if end == self._end:
            return
        if not end.marks.follow(self._marks):
            self._forget()
        self._marks = end.marks
        again = self._summary.last.seq > 0
        if not self._read(end, stopping) and again and not stopping():
            self._read(end, stopping)

    def _read(self, end: End, stopping: Callable[[], bool]) -> bool:
        before = self._summary.last
        try:
            for entry in self.source.behind(before):
                with self._lock:
                    self._summary.take(entry)
                if stopping():
                    return False
        except StateError as error:
            self._forget()
            self.fault, self._end = self.source.told(error), end
            return False
        self._end = end
        if self.fault or not self._whole or self._summary.last is not before:  # and not only touched
            self.fault, self._whole = "", True
            self._compare()
            self.version += 1
        return True

    def _forget(self) -> None:
        with self._lock:
            self._summary, self._whole, self.likeness = Summary(self._keep), False, NOBODY
            self._compared, self._end = 0, None
        self.version += 1

    def _compare(self) -> None:
        if self._summary.counted != self._compared:  # as epochs end: comparing 256 miners takes a second
            table = self._summary.answers.table()
            self.likeness = likeness(table) if len(table.hotkeys) > 1 else NOBODY
            self._compared = self._summary.counted

    @contextmanager
    def open(self) -> Iterator[Summary]:
        """The summary, which stands still meanwhile. Raises Unready."""
        with self._lock:
            if self.fault:
                raise Unready(f"journal {self.number} cannot be shown: {self.fault}")
            if not self._whole:
                so_far = f"{self._summary.last.seq:,} of {self.total:,} entries" if self.total else "nothing"
                raise Unready(f"journal {self.number} is being read: {so_far} so far")
            yield self._summary

    def round(self, number: int) -> tuple[Asked, RoundRecord] | None:
        """A round with everything that its entry says; None where there is none that may be shown. Raises Unready."""
        with self.open() as summary:
            asked = summary.shown(number)
        if asked is None:
            return None
        try:
            entry = self._loaded.get(asked.seq) or self.source.find(asked.seq)
            if entry is None or entry.hash != asked.hash:
                raise JournalBroken(f"entry {asked.seq} is not the one that was read before")
            return asked, read_record(RoundRecord, entry)
        except StateError as error:
            raise Unready(f"journal {self.number}, round {number}: {self.source.told(error)}") from error

    def load(self, numbers: Collection[int]) -> None:
        """Read these rounds at once, for who asks for all of them. Raises Unready."""
        with self.open() as summary:
            wanted = {asked.seq for number in numbers if (asked := summary.shown(number))}
        try:
            entries = self.source.behind(BEGINNING)
            self._loaded = {entry.seq: entry for entry in entries if entry.seq in wanted}
        except StateError as error:
            raise Unready(f"journal {self.number}: {self.source.told(error)}") from error
