"""What was asked of whom: an item is asked at most once of a hotkey, across restarts and kill -9.

SQLite in WAL mode with full synchronisation: what `claim` returned from is on disk. Items are known by content (the
hash of the stored media), so a second file with the same pixels does not count as new. One process writes; the file
does not belong on a network file system. Format 1 has a column `phash` that nothing fills.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType

from subnet.errors import StateError

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


class Ledger:
    """Which content was asked of which hotkey. `path=None` keeps it in memory only. Usable from several threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises StateError where the file is damaged, newer than this program, or locked by another."""
        self._lock = threading.Lock()
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=10)
            self._prepare()
        except sqlite3.Error as error:
            advice = "move it away to start an empty one"
            raise StateError(f"the ledger {path} cannot be used ({error}); {advice}") from error

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError(f"the ledger {self._path} has format {version}, known is up to {VERSION}: upgrade Assay")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    def blocked(self, contents: Sequence[str], hotkeys: Collection[str]) -> set[str]:
        """Those of `contents` that were asked of at least one of `hotkeys`."""
        with self._lock:
            rows = self._db.execute(_BLOCKED, (json.dumps(list(contents)), json.dumps(list(hotkeys)))).fetchall()
        return {content for (content,) in rows}

    def claim(self, content: str, hotkeys: Collection[str], now: float) -> bool:
        """Write down, durably and at once, that `content` is about to be asked of `hotkeys`. `now` in seconds.

        False, and nothing is written, when it was asked of one of them before: of two claims one wins.
        """
        names = json.dumps(list(hotkeys))
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._db.execute(_BLOCKED, (json.dumps([content]), names)).fetchone():
                return False
            self._db.execute("INSERT OR IGNORE INTO hotkey (name) SELECT value FROM json_each(?)", (names,))
            self._db.execute(
                "INSERT INTO item (content, at) VALUES (?, ?) ON CONFLICT (content) DO UPDATE SET at = excluded.at",
                (content, now),
            )
            self._db.execute(_ASK, (content, names))
        return True

    def asked(self, hotkey: str) -> int:
        """How many different contents `hotkey` was asked."""
        with self._lock:
            query = "SELECT count(*) FROM asked JOIN hotkey ON hotkey.id = asked.hotkey WHERE name = ?"
            return int(self._db.execute(query, (hotkey,)).fetchone()[0])

    def forget(self, before: float) -> int:
        """Drop what was last asked before the time `before`; how many items. They may then be asked again."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM asked WHERE item IN (SELECT id FROM item WHERE at < ?)", (before,))
            return int(self._db.execute("DELETE FROM item WHERE at < ?", (before,)).rowcount)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
