"""Ready media on disk: filled by producers, read by validators, within a byte budget.

An item is one file that appears by a rename, so no reader ever sees a part of one, and any number of producers may
write into one folder, each under a stream name of its own. Readers never wait for producers. `take` gives the lowest
sequence not yet asked of any of the given hotkeys: the same producer seed and plan give the same challenges in the
same order, however fast the producer was.

Paths show the labels of coming challenges: the folder is closed to other users.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from subnet.errors import MediaError, SourceEmpty, StateError
from subnet.files import private_folder, size_of, write_atomically
from subnet.media.pool.item import BAD_SUFFIX, SUFFIX, Cell, PoolItem, cell_of, check_stream, pack, parse_name, unpack
from subnet.media.pool.ledger import Ledger
from subnet.types import Label, Modality, Sample

GIGABYTE = 10**9
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Fate(StrEnum):
    """What became of a put."""

    STORED = "stored"
    EXISTS = "exists"  # the same item was there already
    OVER_BUDGET = "over_budget"  # the pool's own byte budget
    NO_SPACE = "no_space"  # the free-space floor of the disk, or the disk refused in the middle


@dataclass(frozen=True)
class Stored:
    """The typed result of a put: a full disk is no exception."""

    fate: Fate
    item: PoolItem | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Drawn:
    """An item that was taken, recorded in the ledger, and read; in a twin round with the photograph behind it."""

    item: PoolItem
    sample: Sample
    twin: Sample | None = None


class Pool:
    """The folder `root`. `budget` and `floor` (free space to leave on the disk) are bytes, `refresh` seconds.

    `ledger` says what was asked of whom; without one it lives in memory and ends with the process.
    """

    def __init__(
        self,
        root: Path,
        *,
        ledger: Ledger | None = None,
        budget: int = 20 * GIGABYTE,
        floor: int = 1 * GIGABYTE,
        refresh: float = 2.0,
        on_bad: Callable[[Path, str], None] = lambda path, reason: None,
    ) -> None:
        self.root, self.ledger = root, ledger or Ledger()
        self.budget, self.floor, self.refresh = budget, floor, refresh
        self._on_bad, self._lock = on_bad, threading.Lock()
        self._shelves: dict[Cell, tuple[float, dict[str, PoolItem], list[PoolItem]]] = {}
        self._used: tuple[float, int] = (-1e9, 0)
        try:
            private_folder(root)
        except OSError as error:
            advice = "name a folder that can be written (--pool.path or $ASSAY_HOME)"
            raise StateError(f"the pool {root} cannot be made: {error.strerror}; {advice}") from error

    def put(self, sample: Sample, *, stream: str, sequence: int, origin: str | None = None) -> Stored:
        """Store `sample` as item `sequence` of `stream`; `origin` is its provenance's model or source by default.

        Putting the same item again changes nothing. Raises ValueError for a name or number that cannot be stored.
        """
        origin = origin or sample.provenance.model or sample.provenance.source
        cell = Cell(sample.modality, sample.label, origin)
        name, data = pack(sample, cell, stream, sequence)
        folder = self.root / cell.folder
        item = PoolItem(sequence, stream, name.removesuffix(SUFFIX).rpartition("-")[2], cell, folder / name)
        folder.mkdir(parents=True, exist_ok=True)
        if any(name.startswith(f"{sequence:010d}-{stream}-") and name.endswith(SUFFIX) for name in self._names(cell)):
            return Stored(Fate.EXISTS, item)
        if self.used() + len(data) > self.budget and self.used(fresh=True) + len(data) > self.budget:
            return Stored(Fate.OVER_BUDGET, None, f"the pool {self.root} has used its {self.budget:,} bytes")
        free = shutil.disk_usage(self.root).free
        if free - len(data) < self.floor:
            return Stored(Fate.NO_SPACE, None, f"{free:,} bytes free on the disk, {self.floor:,} must stay free")
        try:
            write_atomically(item.path, data, mode=0o600)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return Stored(Fate.NO_SPACE, None, f"the disk refused to write: {error.strerror}")
        with self._lock:
            self._used = (self._used[0], self._used[1] + len(data))
        return Stored(Fate.STORED, item)

    def next_sequence(self, cell: Cell, stream: str) -> int:
        """Where `stream` goes on in `cell`: behind what it said it had made, and behind all that lies there.

        Raises StateError where what it said cannot be read.
        """
        path = self._cursor(cell, stream)
        try:
            made = int(path.read_text())
        except (FileNotFoundError, ValueError):
            made = 0
        except OSError as error:
            raise StateError(f"the producer's mark {path} cannot be read: {error.strerror}") from error
        return max([made, *(item.sequence + 1 for item in self._scan(cell).values() if item.stream == stream)])

    def advance(self, cell: Cell, stream: str, sequence: int) -> None:
        """Note durably that `stream` goes on at `sequence` in `cell`, even when all before it has been retired.

        Raises StateError where the disk refuses.
        """
        path = self._cursor(cell, stream)
        try:
            write_atomically(path, str(sequence).encode(), mode=0o600)
        except OSError as error:
            raise StateError(f"the producer's mark {path} cannot be written: {error.strerror}") from error

    def _cursor(self, cell: Cell, stream: str) -> Path:
        return self.root / ".streams" / check_stream(stream) / "-".join(cell.folder.parts)

    def take(self, cell: Cell, hotkeys: Collection[str], *, now: float | None = None) -> Drawn | None:
        """The next item of `cell` for `hotkeys`, already recorded as asked; None when there is none. Never waits.

        A damaged file is set aside as `.bad` and the next one is given.
        """
        for item in self._eligible(cell, hotkeys):
            sample = self.read(item)
            if sample is not None and self.ledger.claim(item.content, hotkeys, time.time() if now is None else now):
                return Drawn(item, sample)
        return None

    def has(self, cell: Cell, hotkeys: Collection[str]) -> bool:
        """Whether an item of `cell` was not asked of any of `hotkeys` yet. Records nothing."""
        return next(self._eligible(cell, hotkeys), None) is not None

    def draw(
        self,
        modality: Modality,
        label: Label,
        hotkeys: Collection[str],
        rng: np.random.Generator,
        origins: Sequence[str] | None = None,
    ) -> Drawn:
        """Take from a random origin, the next ones of a random order where it is empty. Raises SourceEmpty.

        With `origins` fixed the choice depends on `rng` alone; without, on what lies in the pool.
        """
        if origins is None:
            origins = sorted(cell.origin for cell in self.cells() if (cell.modality, cell.label) == (modality, label))
        for index in rng.permutation(len(origins)):
            drawn = self.take(Cell(modality, label, origins[index]), hotkeys)
            if drawn is not None:
                return drawn
        kind = f"{modality}/{label.name.lower()}"
        raise SourceEmpty(f"the pool {self.root} has no {kind} left for these {len(hotkeys)} hotkeys")

    def read(self, item: PoolItem) -> Sample | None:
        """The sample of `item`; None where another reader retired it meanwhile, or where it was damaged."""
        try:
            return unpack(item, item.path.read_bytes())
        except FileNotFoundError:
            self._drop(item)
        except MediaError as error:
            self.quarantine(item, str(error))
        return None

    def retire(self, item: PoolItem) -> None:
        """Delete `item`; nothing happens where it is gone already."""
        item.path.unlink(missing_ok=True)
        self._drop(item)

    def quarantine(self, item: PoolItem, reason: str) -> None:
        """Set a damaged item aside under the suffix `.bad`, and say so."""
        try:
            item.path.rename(item.path.with_name(item.path.name + BAD_SUFFIX))
        except FileNotFoundError:
            reason = ""
        self._drop(item)
        if reason:
            self._on_bad(item.path, reason)

    def cells(self) -> list[Cell]:
        """Every cell that has a folder, in order."""
        folders = (cell_of(folder, self.root) for folder in self.root.glob("*/*/*"))
        return sorted(cell for cell in folders if cell is not None)

    def items(self, cell: Cell) -> list[PoolItem]:
        """What lies in `cell` now, in the order of `take`."""
        return sorted(self._scan(cell).values())

    def levels(self) -> dict[Cell, int]:
        """How many items lie in each cell now: names are counted, nothing is entries or opened."""
        return {cell: sum(name.endswith(SUFFIX) for name in self._names(cell)) for cell in self.cells()}

    def used(self, *, fresh: bool = False) -> int:
        """Bytes in the pool, all of its files counted; a count older than `refresh` seconds is made again."""
        with self._lock:
            at, total = self._used
            if fresh or time.monotonic() - at > max(30.0, self.refresh):
                total = size_of(self.root)
                self._used = (time.monotonic(), total)
            return total

    def _names(self, cell: Cell) -> list[str]:
        try:
            return os.listdir(self.root / cell.folder)
        except FileNotFoundError:
            return []

    def _scan(self, cell: Cell) -> dict[str, PoolItem]:
        """Read the folder of `cell`; names known from before are not entries again."""
        folder = self.root / cell.folder
        with self._lock:
            known = self._shelves[cell][1] if cell in self._shelves else {}
        entries = {name: known.get(name) or parse_name(name, cell, folder) for name in self._names(cell)}
        items = {name: item for name, item in entries.items() if item is not None}
        with self._lock:
            self._shelves[cell] = (time.monotonic(), items, sorted(items.values()))
        return items

    def _shelf(self, cell: Cell) -> tuple[list[PoolItem], bool]:
        """The items of `cell` as last listed, and whether the listing was made just now."""
        with self._lock:
            shelf = self._shelves.get(cell)
            if shelf is not None and time.monotonic() - shelf[0] < self.refresh:
                return list(shelf[2]), False
        self._scan(cell)
        with self._lock:
            return list(self._shelves[cell][2]), True

    def _eligible(self, cell: Cell, hotkeys: Collection[str]) -> Iterator[PoolItem]:
        """Items not asked of `hotkeys`, lowest first; lists the folder anew only when the known ones are used up."""
        items, fresh = self._shelf(cell)
        yield from self._unasked(items, hotkeys)
        if not fresh:
            old = set(items)
            yield from self._unasked([item for item in sorted(self._scan(cell).values()) if item not in old], hotkeys)

    def _unasked(self, items: Iterable[PoolItem], hotkeys: Collection[str]) -> Iterator[PoolItem]:
        remaining = list(items)
        for start in range(0, len(remaining), 64):
            chunk = remaining[start : start + 64]
            blocked = self.ledger.blocked([item.content for item in chunk], hotkeys)
            yield from (item for item in chunk if item.content not in blocked)

    def _drop(self, item: PoolItem) -> None:
        with self._lock:
            shelf = self._shelves.get(item.cell)
            if shelf is not None and shelf[1].pop(item.path.name, None) is not None:
                shelf[2].remove(item)
