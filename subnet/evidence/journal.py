"""The append-only journal: a chain of entries in SQLite, and the state that follows from them.

Each entry's hash covers the one before it, so that nothing recorded can be changed or taken out unnoticed. An entry
and the state after it are written in one transaction (WAL, synchronous=FULL): kill -9 at any point loses nothing
that `append` returned from. Every append is brought into the file itself at once, so that even a bare copy of the
running file holds all of it. One process writes at a time: a second one is refused with the first one's pid.
`subnet.evidence.reader` reads it meanwhile.

The live file keeps the newest entries; older ones become compressed segments (`finish_segment`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from subnet.errors import JournalBroken, StateError
from subnet.evidence.entries.entry import BEGINNING, Entry, chained, link
from subnet.evidence.entries.lines import read_row
from subnet.evidence.entries.segments import FOLDER, Segment, last_entry, list_segments, write_segment
from subnet.evidence.reader import (
    SCHEMA,
    JournalReader,
    check_schema,
    cure,
    find_entry,
    read_entries,
    read_state,
    refuse_empty,
)
from subnet.files import hold, private_file, private_folder, refuse_orphans, write_atomically

SEGMENT_BYTES = (
    3 * 2**19
)  # of text in a segment: two blocks of bzip2, so that an entry is soon found; live at most twice that
_TABLES = f"""
CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE state (only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, value BLOB NOT NULL);
PRAGMA user_version={SCHEMA};
"""


class Journal:
    """An open journal. `segments` is the folder of its finished parts, by default the one beside it."""

    def __init__(self, path: Path, segments: Path | None = None, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises StateError when it is damaged, empty, newer than this program, or held by another process."""
        self.path, self.segments = path, segments or path.parent / FOLDER
        self._segment_bytes, self._writing = segment_bytes, threading.Lock()
        try:
            private_folder(path.parent)
            self._lock = hold(path.with_suffix(".lock"), str(path.parent), "one validator per state folder")
        except OSError as error:
            where = f"cannot keep a journal in {path.parent}: {error.strerror}"
            raise StateError(f"{where}; name a folder that can be written (--state or $ASSAY_HOME)") from error
        try:
            self._db = self._open()
            self.last, self._plain = self._verify()
        except StateError:
            self._shut()
            raise

    @property
    def length(self) -> int:
        """How many entries there are."""
        return self.last.seq

    @property
    def tip(self) -> str:
        """The hash of the last entry."""
        return self.last.hash

    def _open(self) -> sqlite3.Connection:
        """Raises StateError. A new journal appears whole, so that an empty file is never one."""
        try:
            if not self.path.exists():
                refuse_orphans(self.path)
                if list_segments(self.segments):
                    raise StateError(f"{self.path} is missing, but {self.segments} has parts of it; restore a backup")
                _create(self.path)
            refuse_empty(self.path)
            for suffix in ("", "-wal", "-shm"):
                if (part := self.path.with_name(self.path.name + suffix)).exists():
                    private_file(part)
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"cannot open the journal {self.path}: {error}") from error
        try:
            if (schema := check_schema(db, self.path)) < SCHEMA:
                write_atomically(self.path.with_suffix(f".schema-{schema}.db"), db.serialize(), mode=0o600)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA wal_autocheckpoint=1")
            db.execute(f"PRAGMA user_version={SCHEMA}")  # schema 1 is a journal that has no segments yet
        except (sqlite3.Error, OSError) as error:
            db.close()
            raise StateError(f"cannot open the journal {self.path}: {error}; restore a backup") from error
        except StateError:
            db.close()
            raise
        return db

    def _verify(self) -> tuple[Entry, int]:
        """The last entry, and the bytes of text in the live file. Raises JournalBroken where that is damaged."""
        try:
            rows = self._db.execute("SELECT seq, kind, body, hash FROM entries ORDER BY seq")
            first = self._db.execute("SELECT min(seq) FROM entries").fetchone()[0]
            if first is None and list_segments(self.segments):
                raise JournalBroken(f"{self.path} has no entries, but {self.segments} has parts; restore a backup")
            before, plain = last_entry(self.segments, first - 1) if first and first > 1 else BEGINNING, 0
            last = before
            for last in chained(map(read_row, rows), before, self.path):
                plain += len(last.body)
        except (sqlite3.Error, ValueError) as error:
            raise StateError(f"cannot read the journal {self.path}: {error}; restore a backup") from error
        return last, plain

    def append(self, kind: str, body: str, state: bytes | None = None) -> Entry:
        """Write one entry (`body` is JSON), and the state after it, or nothing.

        Raises StateError when it cannot be written, e.g. because the disk is full; the journal stays usable.
        """
        entry = Entry(self.length + 1, kind, body, link(self.tip, kind, body))
        with self._writing:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (entry.seq, kind, body, entry.hash))
                if state is not None:
                    self._db.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (entry.seq, state))
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._refusal(error) from error
            self.last, self._plain = entry, self._plain + len(body)
        return entry

    def finish_segment(self) -> Segment | None:
        """Move the oldest entries into a segment once the live file has enough; None before. May run in a thread.

        The segment is whole and on disk before they leave the live file. Raises StateError where it cannot be written.
        """
        if self._plain < 2 * self._segment_bytes:
            return None
        with JournalReader(self.path, self.segments) as reader:
            segment = write_segment(self.segments, _first(reader.live(), self._segment_bytes))
        with self._writing:
            try:
                packed = "FROM entries WHERE seq <= ?"
                (size,) = self._db.execute(f"SELECT sum(length(body)) {packed}", (segment.last,)).fetchone()
                self._db.execute(f"DELETE {packed}", (segment.last,))
            except sqlite3.Error as error:
                raise self._refusal(error) from error
            self._plain -= size
        return segment

    def _refusal(self, error: sqlite3.Error) -> StateError:
        """What became of a transaction that failed: nothing of it stays, and nothing of it is written later."""
        with suppress(sqlite3.Error):  # of a disk that refuses that as well; the next BEGIN then fails
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        return StateError(f"cannot write to the journal {self.path}: {error}; {cure(error, 'free space on its disk')}")

    def state(self) -> bytes | None:
        """The newest state, None when there is none yet."""
        return read_state(self._db, self.path)

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """Entries in order. Raises JournalBroken at the first whose hash does not follow from the one before."""
        every = chained(read_entries(self._db, self.path, self.segments), BEGINNING, self.path)
        return (entry for entry in every if kind is None or entry.kind == kind)

    def find(self, seq: int) -> Entry | None:
        """Entry `seq`, the beginning for 0; None where there is none. Raises JournalBroken where a part is damaged."""
        return BEGINNING if seq == 0 else find_entry(self._db, self.path, self.segments, seq)

    def close(self) -> None:
        """Close the file and let the next process in."""
        self._shut()

    def _shut(self) -> None:
        if hasattr(self, "_db"):
            self._db.close()
        os.close(self._lock)


def _first(entries: Iterable[Entry], size: int) -> Iterator[Entry]:
    """The first entries, until they have `size` bytes of text together."""
    for entry in entries:
        yield entry
        size -= len(entry.body)
        if size <= 0:
            return


def _create(path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_TABLES)
        write_atomically(path, db.serialize(), mode=0o600)
