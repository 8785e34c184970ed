"""A journal as anybody may read it: live or stopped, without a lock, and without changing a byte.

The finished segments and the live file are one chain. While a validator writes, a reader sees the journal as it stood
when it was opened.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import starmap
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from subnet.errors import JournalBroken, SettingsError, StateError
from subnet.evidence.entries.entry import BEGINNING, GENESIS, Entry, chained
from subnet.evidence.entries.lines import read_row
from subnet.evidence.entries.segments import (
    FOLDER,
    find_in_segment,
    last_entry,
    list_segments,
    missing,
    read_finished,
)
from subnet.files import private_folder, write_atomically

# 1: everything in the live file, no digest of the state in the records; 2: no signatures, rules, snapshots, settings
SCHEMA = 3
LIVE = "journal.db"
MAX_VALUE = 16 * 2**20  # bytes of one value in the live file; a state of 256 hotkeys has 40,000
_ROWS = "SELECT seq, kind, body, hash FROM entries"


class JournalReader:
    """A journal opened to be read. `segments` is the folder of its finished parts, by default the one beside it.

    Every method raises JournalBroken where the journal is damaged, empty, or a part of it is missing.
    """

    def __init__(self, path: Path, segments: Path | None = None) -> None:
        """Raises StateError for a file that is no journal, or one of a newer program."""
        self.path, self.segments = path, segments or path.parent / FOLDER
        with at_door(path):
            self._db = sqlite3.connect(_address(path), uri=True, isolation_level=None, check_same_thread=False)
        try:
            check_schema(self._db, path)
            with at_door(path):
                self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
                self._db.execute("BEGIN")  # one moment, until it is closed
                last = self._db.execute(f"{_ROWS} ORDER BY seq DESC LIMIT 1").fetchone()
                self.last = read_row(last) if last else None
        except StateError:
            self._db.close()
            raise

    @property
    def length(self) -> int:
        """How many entries there were when it was opened."""
        return self.last.seq if self.last else 0

    @property
    def tip(self) -> str:
        """The hash of the last of them."""
        return self.last.hash if self.last else GENESIS

    def state(self) -> bytes | None:
        """The newest state, None when there is none."""
        return read_state(self._db, self.path)

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """Entries in order. Raises JournalBroken at the first that does not follow."""
        every = chained(read_entries(self._db, self.path, self.segments), BEGINNING, self.path)
        return (entry for entry in every if kind is None or entry.kind == kind)

    def behind(self, last: Entry) -> Iterator[Entry]:
        """Entries behind `last`, which was read before. Raises JournalBroken where they do not follow from it.

        So it does where live entries before `last` do not lead to it any more: somebody may have changed them since.
        """
        if last.seq > self.length:
            raise JournalBroken(_another(self.path, last))
        with at_door(self.path):
            first = self._db.execute("SELECT min(seq) FROM entries").fetchone()[0]
        if first is not None and first <= last.seq + 1:
            if first <= last.seq:
                self._check_live(first, last)
            rows = self._rows("WHERE seq > ? ORDER BY seq", last.seq)
        else:
            every = read_entries(self._db, self.path, self.segments)
            rows = (entry for entry in every if entry.seq > last.seq)
        return chained(rows, last, self.path)

    def _check_live(self, first: int, last: Entry) -> None:
        """The live entries up to `last`, by their hashes alone; with nothing behind it also what they follow from."""
        with at_door(self.path):
            rows = starmap(Entry, self._db.execute(f"{_ROWS} WHERE seq <= ? ORDER BY seq", (last.seq,)))
            if first == 1:
                before = BEGINNING
            else:
                before = last_entry(self.segments, first - 1) if last.seq == self.length else next(rows)
            found = deque(chained(rows, before, self.path), maxlen=1) or [before]
        if (found[0].seq, found[0].hash) != (last.seq, last.hash):
            raise JournalBroken(_another(self.path, last))

    def find(self, seq: int) -> Entry | None:
        """Entry `seq`, None where there is none."""
        return find_entry(self._db, self.path, self.segments, seq)

    def _rows(self, condition: str, *values: int) -> Iterator[Entry]:
        with at_door(self.path):
            yield from map(read_row, self._db.execute(f"{_ROWS} {condition}", values))

    def live(self) -> Iterator[Entry]:
        """Entries of the live file alone, unchecked."""
        return self._rows("ORDER BY seq")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _another(path: Path, last: Entry) -> str:
    return f"{path}: entry {last.seq} is not the one that was read before: another journal?"


def backup(path: Path, out: Path, segments: Path | None = None) -> None:
    """Copy a live or stopped journal into the new or empty folder `out`.

    Raises SettingsError for a folder that is not empty, StateError where it cannot be written.
    """
    try:
        if any(private_folder(out).iterdir()):
            raise SettingsError(f"OUT {out}: the folder is not empty; name a new one")
        with JournalReader(path, segments) as source:
            with at_door(path), closing(sqlite3.connect(":memory:")) as copy:
                source._db.backup(copy)
                first = copy.execute("SELECT coalesce(min(seq), 1) FROM entries").fetchone()[0]
                write_atomically(out / LIVE, copy.serialize(), mode=0o600)
            for segment in list_segments(source.segments):
                if segment.last < first:
                    write_atomically(
                        private_folder(out / FOLDER) / segment.path.name, segment.path.read_bytes(), mode=0o600
                    )
    except OSError as error:
        raise StateError(f"the copy {out} cannot be written: {error.strerror}") from error


def read_entries(db: sqlite3.Connection, path: Path, segments: Path) -> Iterator[Entry]:
    """All entries, segments first, unchecked. Raises JournalBroken where a segment is missing."""
    with at_door(path):
        rows = map(read_row, db.execute(f"{_ROWS} ORDER BY seq"))
        head = next(rows, None)
    if head is None and list_segments(segments):
        raise JournalBroken(f"{path} has no entries, but {segments} has parts of it; restore a backup")
    if head is None:
        return
    last = 0
    for entry in read_finished(segments, until=head.seq - 1):
        yield entry
        last = entry.seq
    if last != head.seq - 1:
        raise JournalBroken(f"{path}: entry {last + 1} is missing; {missing(segments, head.seq - 1)}")
    yield head
    with at_door(path):
        yield from rows


def find_entry(db: sqlite3.Connection, path: Path, segments: Path, seq: int) -> Entry | None:
    """Entry `seq`, None where there is none. Raises JournalBroken where the part that has it is damaged."""
    with at_door(path):
        row = db.execute(f"{_ROWS} WHERE seq = ?", (seq,)).fetchone()
        if row is not None:
            return read_row(row)
    part = next((segment for segment in list_segments(segments) if segment.first <= seq <= segment.last), None)
    return find_in_segment(part, seq) if part else None


def read_state(db: sqlite3.Connection, path: Path) -> bytes | None:
    """The newest state in a live file, None when there is none. Raises JournalBroken where it is of another entry."""
    with at_door(path):
        row = db.execute("SELECT seq, value FROM state").fetchone()
        last = db.execute("SELECT max(seq) FROM entries").fetchone()[0]
    if row and not isinstance(row[1], bytes):
        raise JournalBroken(f"{path}: the stored state is no state; restore a backup")
    if row and row[0] != last:
        raise JournalBroken(
            f"{path}: the stored state is of entry {row[0]}, but the journal ends with entry {last}: entries were cut "
            "off or added; restore a backup"
        )
    return row[1] if row else None


def check_schema(db: sqlite3.Connection, path: Path) -> int:
    """The version of the journal's tables. Raises StateError for a newer one, and for a file that is no journal."""
    with at_door(path):
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        tables = plain_tables(db)
    if not {"entries", "state"} <= tables:
        raise StateError(f"{path} is no journal: it has no entries; name the file {LIVE} of a validator")
    if version > SCHEMA:
        raise StateError(f"{path} was written by a newer Assay (schema {version}, this one knows {SCHEMA})")
    return version


def plain_tables(db: sqlite3.Connection) -> set[str]:
    """Names of all tables. Raises ValueError where a file computes anything when it is read or written to.

    Views, triggers, virtual tables and generated columns are programs, and a stranger's may run for ever.
    """
    made = db.execute("SELECT type, name, rootpage FROM sqlite_master").fetchall()
    wrong = [(kind, name) for kind, name, page in made if kind not in ("table", "index") or not page]
    tables = {name for kind, name, _ in made if kind == "table"} - {name for _, name in wrong}
    for table in tables:
        columns = db.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
        wrong += [("generated column", name) for name, hidden in columns if hidden]
    if wrong:
        raise ValueError(f"it has the {wrong[0][0]} {wrong[0][1]!r}, which nothing of ours makes")
    return tables


@contextmanager
def at_door(path: Path) -> Iterator[None]:
    """What SQLite raises while reading, or is no entry, leaves as JournalBroken that names the file."""
    try:
        yield
    except (sqlite3.Error, ValueError) as error:
        raise JournalBroken(f"cannot read the journal {path}: {error}; restore a backup") from error


def cure(error: sqlite3.Error, otherwise: str) -> str:
    """What to do about `error`: a damaged file is restored, whatever else was expected. The low byte is its kind."""
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return "restore a backup" if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else otherwise


def refuse_empty(path: Path) -> None:
    """Raises JournalBroken for a file without a byte: no journal begins so, but a truncated one ends so."""
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise StateError(f"cannot read the journal {path}: {error.strerror}") from error
    if empty:
        raise JournalBroken(f"the journal {path} is empty (0 bytes), so it was cut off; restore a backup")


def _address(path: Path) -> str:
    """Without a log beside it nobody writes to it, and it can be read where nothing may be written."""
    refuse_empty(path)
    live = any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal"))
    return f"file:{quote(str(path.absolute()))}?mode=ro{'' if live else '&immutable=1'}"
