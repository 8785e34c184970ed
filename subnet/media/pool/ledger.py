"""What was asked of whom: an item is asked at most once of a hotkey, across restarts and kill -9.

SQLite in WAL mode with full synchronisation: what `claim` returned from is on disk. Items are known by content (the
hash of the stored media), so a second file with the same pixels does not count as new. One process writes; the file
does not belong on a network file system. Format 1 has a column `phash` that nothing fills.

A disk that refuses stops no round: what was claimed is kept in memory, blocks as if it were written, and is written
with the next claim that the disk takes. A process that dies meanwhile forgets it; the items themselves are deleted once
they were asked, which needs no space, so that only an item whose round was cut short could be asked again.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from subnet.errors import StateError
from subnet.files import private_file, private_folder, refuse_orphans

VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS item
    (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE, phash INTEGER, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS hotkey (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS asked
    (item INTEGER NOT NULL, hotkey INTEGER NOT NULL, PRIMARY KEY (item, hotkey)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS item_at ON item (at);
"""
_BLOCKED = """
SELECT DISTINCT item.content FROM item
JOIN asked ON asked.item = item.id JOIN hotkey ON hotkey.id = asked.hotkey
WHERE item.content IN (SELECT value FROM json_each(?)) AND hotkey.name IN (SELECT value FROM json_each(?))
"""
_ASK = """
INSERT OR IGNORE INTO asked SELECT (SELECT id FROM item WHERE content = ?), id FROM hotkey
WHERE name IN (SELECT value FROM json_each(?))
"""


_REFUSALS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


@dataclass(frozen=True)
class _Claim:
    content: str
    hotkeys: frozenset[str]
    at: float  # seconds


class Ledger:
    """Which content was asked of which hotkey. `path=None` keeps it in memory only. Usable from several threads.

    Every method raises StateError where the file is damaged or held by another process.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Raises StateError where the file is damaged, newer than this program, cannot be made, or is locked."""
        self._lock = threading.Lock()
        self._path = path
        self._unwritten: list[_Claim] = []
        self.refusal = ""  # why the disk took nothing at the last try, "" when it did
        try:
            if path is not None:
                private_folder(path.parent)
                refuse_orphans(path)
                private_file(path)
        except OSError as error:
            raise StateError(f"the ledger {path} cannot be made: {error.strerror}; name a folder of yours") from error
        with self._door("move it away to start an empty one"):
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=10)
            self._prepare()

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError(f"{self._path} was written by a newer Assay (schema {version}, this one knows {VERSION})")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    @property
    def unwritten(self) -> int:
        """Claims that the disk has refused so far; one that is being written is waited for."""
        with self._lock:
            return len(self._unwritten)

    def blocked(self, contents: Sequence[str], hotkeys: Collection[str]) -> set[str]:
        """Those of `contents` that were asked of at least one of `hotkeys`."""
        with self._lock, self._door():
            return self._blocked(contents, hotkeys)

    def claim(self, content: str, hotkeys: Collection[str], now: float) -> bool:
        """Write down, durably and at once, that `content` is about to be asked of `hotkeys`. `now` in seconds.

        False, and nothing is written, when it was asked of one of them before: of two claims one wins. Where the disk
        refuses, the claim is kept in memory: see `unwritten` and `refusal`.
        """
        with self._lock, self._door(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._blocked([content], hotkeys):
                return False
            self._unwritten.append(_Claim(content, frozenset(hotkeys), now))
            self._write_out()
        return True

    def _blocked(self, contents: Sequence[str], hotkeys: Collection[str]) -> set[str]:
        rows = self._db.execute(_BLOCKED, (json.dumps(list(contents)), json.dumps(list(hotkeys)))).fetchall()
        waiting = {claim.content for claim in self._unwritten if not claim.hotkeys.isdisjoint(hotkeys)}
        return {content for (content,) in rows} | waiting.intersection(contents)

    def _write_out(self) -> None:
        """End the open transaction with all that waits in it, or with nothing where the disk refuses."""
        try:
            for claim in self._unwritten:
                names = json.dumps(sorted(claim.hotkeys))
                self._db.execute("INSERT OR IGNORE INTO hotkey (name) SELECT value FROM json_each(?)", (names,))
                self._db.execute(
                    "INSERT INTO item (content, at) VALUES (?, ?) ON CONFLICT (content) DO UPDATE SET at = excluded.at",
                    (claim.content, claim.at),
                )
                self._db.execute(_ASK, (claim.content, names))
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _REFUSALS:
                raise
            self.refusal = str(error)
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return
        self._unwritten, self.refusal = [], ""

    def asked(self, hotkey: str) -> int:
        """How many different contents `hotkey` was asked."""
        query = "SELECT content FROM item JOIN asked ON asked.item = item.id JOIN hotkey ON hotkey.id = asked.hotkey"
        with self._lock, self._door():
            rows = self._db.execute(f"{query} WHERE name = ?", (hotkey,)).fetchall()
            waiting = {claim.content for claim in self._unwritten if hotkey in claim.hotkeys}
        return len({content for (content,) in rows} | waiting)

    def oldest(self) -> float:
        """When the item was asked that was not asked for the longest time, in seconds; infinite for an empty ledger."""
        with self._lock, self._door():
            at = self._db.execute("SELECT min(at) FROM item").fetchone()[0]
        return float("inf") if at is None else float(at)

    def forget(self, before: float, present: Collection[str] = ()) -> int:
        """Drop what was last asked before the time `before`, but for the contents `present`; how many items.

        They may then be asked again: `present` are the contents that may still be drawn.
        """
        old = "SELECT id FROM item WHERE at < ? AND content NOT IN (SELECT value FROM json_each(?))"
        what = (before, json.dumps(list(present)))
        with self._lock, self._door(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(f"DELETE FROM asked WHERE item IN ({old})", what)
            dropped = self._db.execute(f"DELETE FROM item WHERE id IN ({old})", what).rowcount
            if dropped:
                self._db.execute("DELETE FROM hotkey WHERE id NOT IN (SELECT hotkey FROM asked)")
        return int(dropped)

    @contextmanager
    def _door(self, advice: str = "free space on its disk, or restore a backup") -> Iterator[None]:
        """What SQLite raises leaves as a StateError that names the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(f"the ledger {self._path} cannot be used ({error}); {advice}") from error

    def close(self) -> None:
        """Close the file, after a last try at what is unwritten."""
        with self._lock, self._door():
            if self._unwritten:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    self._write_out()
            self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
