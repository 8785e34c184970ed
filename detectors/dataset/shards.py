"""Data sets in shards: parquet files of rows, and tar files as WebDataset has them. An item is read where it lies.

A row of parquet has the bytes in a column and, like a line of an index, `label`, `origin`, `pair`, `item`, `seed`,
`licence` and `modality` beside them where they are known. In a tar file members of one name up to its first dot are one
item: the media, and `.json` with the same fields, or `.cls` with the label. Without a label there the folders on the
way tell it, as in any other folder. A shard that is damaged gives what can still be read of it, and the rest is told.
"""

from __future__ import annotations

import atexit
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path, PurePath
from threading import Lock
from typing import Any

from detectors.dataset.folder_names import label_of, place_of
from subnet.codec.image import MAX_BYTES
from subnet.errors import DataError, MediaError, MediaUnreadable
from subnet.media.folder import LITTER, modality_of
from subnet.media.hub.parquet import ParquetShard
from subnet.types import Label, Modality

SUFFIXES = (".parquet", ".tar")
FIELDS = ("label", "origin", "pair", "item", "seed", "licence", "modality")
BLOCK = 512  # of a tar file, bytes
LONGEST = 1 << 16  # bytes of what is said about an item
Row = dict[str, Any]
Tell = Callable[[str], None]


def shards_below(root: Path) -> list[Path]:
    """The shards of a data set in the order of their names; hidden ones and what desktops leave behind are not."""
    found = []
    for folder, names, files in os.walk(root, followlinks=True):
        names[:] = [name for name in names if not name.startswith(".") and name.lower() not in LITTER]
        found += [Path(folder, name) for name in files if name.endswith(SUFFIXES) and not name.startswith(".")]
    return sorted(found)


def shard_of(path: Path) -> Path:
    """The shard that the item `path` lies in: "part-0001.tar" of "part-0001.tar/000012.png"."""
    return next(parent for parent in path.parents if parent.suffix in SUFFIXES)


def rows(root: Path, shards: list[Path], tell: Tell) -> Iterator[Row]:
    """What an index would say of every item: `file` is the shard with the item's name, `at` where it begins there.

    Raises DataError for a shard with nothing in it that could be read, and for items without a label.
    """
    for shard in shards:
        way, count = shard.relative_to(root), 0
        read = _tar_rows if shard.suffix == ".tar" else _parquet_rows
        try:
            for row in read(shard, way, tell):
                count += 1
                yield row
        except (OSError, MediaError, tarfile.TarError) as error:
            if not count:
                raise DataError(f"data: the shard {shard} cannot be read: {error}; mend it, or take it away") from error
            tell(f"{shard} is damaged: {error}; the {count:,} items before that are used")
        if not count:
            raise DataError(f"data: the shard {shard} holds no images or clips")


def _labelled(row: Mapping[str, Any], way: PurePath, name: str) -> Row:
    """`row` with label and origin, which the folders on the way to the shard and in it give where it has none.

    Raises DataError where nothing does.
    """
    place = place_of(way.parent / name)
    label = row.get("label")
    if isinstance(label, str):
        label = int(label) if label.strip() in ("0", "1") else label_of(label)
    if label is None and place is not None:
        label = place.label
    if label is None or int(label) not in tuple(Label):
        raise DataError(
            f"data: {way}, {name}: no label; give a column or field `label`, 0 for real and 1 for synthetic, or "
            "put the shard into a folder real/ or fake/"
        )
    origin = row.get("origin") or (place.origin if place else Label(int(label)).name.lower())
    return {**row, "label": int(label), "origin": str(origin), "file": (way / name).as_posix()}


def _parquet_rows(shard: Path, way: Path, tell: Tell) -> Iterator[Row]:
    """Rows of a parquet file; a group of rows that cannot be read is told, and passed over."""
    with closing(_open_parquet(shard)) as opened:
        groups = opened.groups
    for places in groups:
        with closing(_open_parquet(shard)) as opened:  # damage may have ended the last reader
            try:
                known = opened.about(places, FIELDS)
            except MediaError as error:
                tell(f"{shard} is damaged: rows {places.start:,} to {places.stop - 1:,} are left out: {error}")
                continue
        for at, about in zip(places, known, strict=True):
            given = {name: value for name, value in about.items() if value is not None}
            yield {"modality": Modality.IMAGE, **_labelled(given, way, f"{at:08d}"), "at": at}


def _open_parquet(shard: Path) -> ParquetShard:
    with ExitStack() as on_failure:
        file = on_failure.enter_context(shard.open("rb"))
        opened = ParquetShard(file, str(shard))
        on_failure.pop_all()
        return opened


def _tar_rows(shard: Path, way: Path, tell: Tell) -> Iterator[Row]:
    """Items of a tar file. A damaged header costs what lies up to the next whole one, which is told."""
    about: Row = {}
    key, media = "", None
    for member, data in _members(shard, tell):
        stem = str(PurePath(member.name).parent / PurePath(member.name).name.partition(".")[0])
        if stem != key:
            yield from _sample(media, about, way)
            key, about, media = stem, {}, None
        if (modality := modality_of(PurePath(member.name))) is not None:
            media = (member.name, member.offset, modality)
        else:
            about |= _about(member.name, data, shard)
    yield from _sample(media, about, way)


def _sample(media: tuple[str, int, Modality] | None, about: Mapping[str, Any], way: Path) -> Iterator[Row]:
    if media is not None:
        name, at, modality = media
        yield {**_labelled(about, way, name), "modality": modality, "at": at}


def _about(name: str, data: bytes, shard: Path) -> Row:
    try:
        if name.endswith(".cls"):
            return {"label": data.decode().strip()}
        known = json.loads(data) if name.endswith(".json") else {}
    except ValueError as error:
        raise DataError(f"data: {shard}, {name}: {error}") from error
    return {field: known[field] for field in FIELDS if known.get(field) is not None} if isinstance(known, dict) else {}


def _members(shard: Path, tell: Tell) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Files in a tar file, with the bytes of those that are no media. Damage is told, and passed over."""
    size = shard.stat().st_size
    with shard.open("rb") as file, tarfile.TarFile(fileobj=file, ignore_zeros=True) as archive:
        expected = 0
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined] # which would hold all of them
            if member.offset > expected and _filled(file, expected, member.offset):
                tell(f"{shard} is damaged from byte {expected:,} to {member.offset:,}: what lies there is left out")
            expected = member.offset_data + -(-member.size // BLOCK) * BLOCK
            small = member.size <= LONGEST and modality_of(PurePath(member.name)) is None
            if member.isreg() and not PurePath(member.name).name.startswith("."):
                extracted = archive.extractfile(member) if small else None
                yield member, extracted.read() if extracted else b""
        if expected < size and _filled(file, expected, size):
            tell(f"{shard} is damaged from byte {expected:,} to its end: what lies there is left out")


def _filled(file: Any, start: int, end: int) -> bool:
    """Whether there is anything but zeros from byte `start` to `end`."""
    file.seek(start)
    return any(any(file.read(min(1 << 20, end - at))) for at in range(start, end, 1 << 20))


class ShardReader:
    """Bytes of items out of shards. One file is held open: items that are asked for in their order are read fast."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._shard = Path()
        self._parquet: ParquetShard | None = None
        self._broken: dict[Path, list[range]] = {}  # groups of rows that end whoever reads them

    def read(self, path: Path, at: int) -> bytes:
        """The bytes of the item `path` that begins at `at`. Raises OSError, and MediaUnreadable for damage."""
        shard = shard_of(path)
        if shard.suffix == ".tar":
            return _read_member(shard, at)
        with self._lock:
            if any(at in group for group in self._broken.get(shard, ())):
                raise MediaUnreadable(f"the group of rows around {at:,} is damaged")
            if self._parquet is None or self._shard != shard:
                self._open(shard)
            assert self._parquet is not None
            try:
                return self._parquet.read(at)[1]
            except MediaError:
                if not self._parquet.alive:
                    self._broken.setdefault(shard, []).extend(group for group in self._parquet.groups if at in group)
                    self.close()
                raise

    def _open(self, shard: Path) -> None:
        self.close()
        atexit.unregister(self.close)
        atexit.register(self.close)
        self._parquet, self._shard = _open_parquet(shard), shard

    def close(self) -> None:
        """Let go of the file that is held open."""
        if self._parquet is not None:
            self._parquet.close()
            self._parquet = None


READER = ShardReader()


def _read_member(shard: Path, at: int) -> bytes:
    try:
        with shard.open("rb") as file:
            file.seek(at)
            with tarfile.TarFile(fileobj=file) as archive:
                member = archive.next()
                extracted = archive.extractfile(member) if member and member.size <= MAX_BYTES else None
                data = extracted.read() if extracted else b""
    except tarfile.TarError as error:
        raise MediaUnreadable(f"the shard is damaged at byte {at:,}: {error}") from error
    if member is None or len(data) != member.size:
        raise MediaUnreadable(f"the shard is damaged at byte {at:,}")
    return data
