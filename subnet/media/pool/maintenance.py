"""What an operator does with a pool: look at it, check it, trim it, take it away as a data set."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from subnet.errors import MediaError
from subnet.files import TEMPORARY, walk
from subnet.media.dataset_folder import IndexRow, index_row, write_index, write_media
from subnet.media.pool.item import BAD_SUFFIX, Cell, PoolItem, open_item, unpack
from subnet.media.pool.pool import Pool
from subnet.types import Label, Modality, Provenance

STALE = 3600.0  # seconds after which a temporary file is a dead writer's


@dataclass(frozen=True)
class CellStatus:
    """One cell: items ready, their bytes, how many are wanted (None without a plan), age of the newest in seconds."""

    cell: Cell
    items: int
    bytes: int
    target: int | None
    newest: float | None


@dataclass(frozen=True)
class PoolStatus:
    """The whole pool. `quarantined` and `temporary` count files; `free` is what the disk has left, in bytes."""

    root: Path
    cells: tuple[CellStatus, ...]
    items: int
    bytes: int
    budget: int
    free: int
    quarantined: int
    temporary: int


@dataclass(frozen=True)
class Verified:
    """How many items are whole, and which were set aside, with the reason."""

    valid: int
    quarantined: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Pruned:
    """What was deleted: items, other files (quarantined, left by dead writers), bytes of both."""

    items: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Exported:
    """A data set folder: how many items went in by cell."""

    root: Path
    items: Mapping[Cell, int]


def status(pool: Pool, now: float, targets: Mapping[Cell, int] | None = None) -> PoolStatus:
    """What lies in the pool at the time `now` (seconds); cells that are wanted but empty are listed too."""
    wanted = dict(targets or {})
    cells = []
    for cell in sorted({*pool.cells(), *wanted}):
        stats = [s for s in (_stat(item.path) for item in pool.items(cell)) if s is not None]
        newest = now - max(s.st_mtime for s in stats) if stats else None
        cells.append(CellStatus(cell, len(stats), sum(s.st_size for s in stats), wanted.get(cell), newest))
    names = [entry.name for entry in walk(pool.root)]
    return PoolStatus(
        root=pool.root,
        cells=tuple(cells),
        items=sum(cell.items for cell in cells),
        bytes=pool.used(fresh=True),
        budget=pool.budget,
        free=shutil.disk_usage(pool.root).free,
        quarantined=sum(name.endswith(BAD_SUFFIX) for name in names),
        temporary=sum(name.startswith(TEMPORARY) for name in names),
    )


def verify(pool: Pool, *, decode: bool = False, progress: Callable[[int], None] = lambda done: None) -> Verified:
    """Check every item's checksum, with `decode` its pixels too; damaged ones are set aside as `.bad`."""
    valid, quarantined = 0, []
    items = [item for cell in pool.cells() for item in pool.items(cell)]
    for done, item in enumerate(items, 1):
        reason = _damage(item, decode)
        if reason is None:
            valid += 1
        elif reason:
            pool.quarantine(item, reason)
            quarantined.append((item.path, reason))
        progress(done)
    return Verified(valid, tuple(quarantined))


def damaged(pool: Pool, *, most: int) -> tuple[tuple[Path, str], ...]:
    """Which of the `most` next items of each cell are damaged, with the reason; none is touched."""
    items = [item for cell in pool.cells() for item in pool.items(cell)[:most]]
    return tuple((item.path, reason) for item in items if (reason := _damage(item, decode=False)))


def _damage(item: PoolItem, decode: bool) -> str | None:
    """Why an item is damaged; None when it is whole, "" when it was retired meanwhile."""
    try:
        (unpack if decode else open_item)(item, item.path.read_bytes())
    except FileNotFoundError:
        return ""
    except MediaError as error:
        return str(error)
    return None


def prune(pool: Pool, now: float, *, keep_bytes: int | None = None, older_than: float | None = None) -> Pruned:
    """Delete quarantined files, temporary ones over an hour old, items older than `older_than` seconds, and then the
    oldest items until at most `keep_bytes` are left. Without either limit no item is touched.
    """
    files = freed = 0
    for entry in list(walk(pool.root)):
        stat = _stat(Path(entry.path))
        dead = entry.name.startswith(TEMPORARY) and stat is not None and now - stat.st_mtime > STALE
        if stat is not None and (dead or entry.name.endswith(BAD_SUFFIX)):
            Path(entry.path).unlink(missing_ok=True)
            files, freed = files + 1, freed + stat.st_size
    dated = ((_stat(item.path), item) for cell in pool.cells() for item in pool.items(cell))
    by_age = sorted((stat.st_mtime, item, stat.st_size) for stat, item in dated if stat is not None)
    left, items = sum(size for _, _, size in by_age), 0
    for made, item, size in by_age:
        too_old = older_than is not None and now - made > older_than
        if too_old or (keep_bytes is not None and left > keep_bytes):
            pool.retire(item)
            left, items, freed = left - size, items + 1, freed + size
    return Pruned(items, files, freed)


def export(pool: Pool, out: Path, *, limit: int | None = None) -> Exported:
    """Copy the stored media into a data set folder with `index.jsonl`, at most `limit` items of each cell.

    Files are `real/` or `fake/`, origin, hash: a running number would tell labels apart.
    Raises FileExistsError when `out` is there and not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"the folder {out} is not empty: give a new one")
    counts: Counter[Cell] = Counter()
    rows = []
    for cell in pool.cells():
        for item in pool.items(cell)[:limit]:
            try:
                header, media = open_item(item, item.path.read_bytes())
            except (FileNotFoundError, MediaError):
                continue
            counts[cell] += 1
            rows.append(_export_item(out, item, Provenance(**header["provenance"]), media))
    write_index(out, rows)
    return Exported(out, dict(counts))


def _export_item(out: Path, item: PoolItem, about: Provenance, media: bytes) -> IndexRow:
    """Write one file and return its line of the index."""
    suffix = ".png" if item.cell.modality is Modality.IMAGE else ".mp4"
    kind = "real" if item.cell.label is Label.REAL else "fake"
    file = f"{kind}/{item.cell.folder.name}/{item.content}{suffix}"
    write_media(out, file, media)
    pair = str(about.parameters.get("pair", ""))
    return index_row(file, item.cell.label, item.cell.modality, item.cell.origin, pair, about)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
