"""Data sets on disk: a folder with an index, or one whose folders name the labels, `real/` and `fake/`.

With `index.jsonl` every line is one item (file, label, modality, origin, pair, seed, licence, item). Without it
`detectors.dataset.folder_names` says what the folders and names mean, and `detectors.dataset.shards` what shards hold.
What people's folders hold beside media is left out and told. Reading a set opens no media.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from detectors.dataset.folder_names import NAMES, content_of, place_of
from detectors.dataset.shards import READER, rows, shard_of, shards_below
from subnet.errors import DataError, MediaError
from subnet.media.folder import modality_of, take_inventory
from subnet.types import Label, Media, Modality

Tell = Callable[[str], None]  # takes one line for people


def silence(line: str) -> None:
    """The default of `tell`: nothing is told."""


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """One item of a data set. `pair` is shared by items with the same content, "" where there is no twin.

    `path` is a file, or the name of an item below the shard that it lies in; then `at` is the row of a parquet file or
    the byte of a tar file where it begins. `item` is what it shows: the photograph or the clip, the same for all frames
    of one. `enlarge` says that it belongs to a data set of pictures below 64 pixels a side, which are read scaled up.
    """

    path: Path
    label: Label
    modality: Modality
    origin: str
    pair: str = ""
    item: str = ""
    seed: int | None = None
    licence: str = "unknown"
    enlarge: bool = False
    at: int | None = None


def read_folder(root: Path, tell: Tell = silence) -> list[DatasetItem]:
    """All items below `root`, in a stable order. Raises DataError, naming the folder or line, when there are none.

    `tell` is given a line for each kind of thing that is left out.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"data: {root} is not a folder")
    index = root / "index.jsonl"
    notes: list[str] = []
    records = list(_records(root, index, notes.append))
    if not records:
        why = "".join(f"; {note}" for note in notes)
        raise DataError(
            f"data: {root} holds no images or clips; expected index.jsonl, folders real/ and fake/, or "
            f"shards (.parquet, .tar){why}"
        )
    for note in notes:
        tell(note)
    return records


def _records(root: Path, index: Path, tell: Tell) -> Iterable[DatasetItem]:
    if index.is_file():
        return _read_index(index)
    if shards := shards_below(root):
        if files := len(take_inventory(root).files):
            tell(f"left out {files:,} files in {root} that lie beside shards; give them a folder of their own")
        return _in_shards(root, rows(root, shards, tell))
    return _walk(root, tell)


def _in_shards(root: Path, found: Iterable[dict[str, Any]]) -> Iterator[DatasetItem]:
    for row in found:
        try:
            yield _record(root, row)
        except (TypeError, ValueError) as error:
            raise DataError(f"data: {root / row['file']}: {error}") from error


def both_classes(records: Sequence[DatasetItem], what: str) -> None:
    """Raises DataError when a class is missing from `records`."""
    for label in Label:
        if not any(record.label is label for record in records):
            raise DataError(f"data: {what} holds no {label.name.lower()} items among {len(records)}; both are needed")


def load_media(record: DatasetItem) -> Media:
    """Decode one item. Raises DataError naming the file."""
    try:
        return decode(record)
    except (OSError, MediaError) as error:
        raise DataError(f"data: {record.path} cannot be read: {error}") from error


def stored_bytes(record: DatasetItem) -> bytes:
    """The file of an item as it is stored. Raises OSError, and MediaError for a damaged shard."""
    return record.path.read_bytes() if record.at is None else READER.read(record.path, record.at)


def stored_file(record: DatasetItem) -> Path:
    """The file on disk that an item lies in: its own, or a shard."""
    return record.path if record.at is None else shard_of(record.path)


def decode(record: DatasetItem) -> Media:
    """Decode one item. Raises OSError and MediaError."""
    from subnet.codec import image as codec
    from subnet.media.cutting import CONTAINERS

    data = stored_bytes(record)
    if record.modality is Modality.IMAGE:
        media = codec.decode_image(data, codec.FILE_IMAGES)
        return _enlarged(media) if record.enlarge else media
    return codec.decode_video(data, codec.Limits(containers=CONTAINERS))


def _enlarged(media: Media) -> Media:
    """A picture below 64 pixels a side, each pixel repeated until the shorter side fills what a challenge has."""
    from subnet.codec.image import TARGET_SIZE
    from subnet.media.cutting import SMALLEST

    height, width = media.frames.shape[1:3]
    if max(height, width) >= SMALLEST:
        return media
    factor = min(TARGET_SIZE) // min(height, width)
    return Media(media.frames.repeat(factor, axis=1).repeat(factor, axis=2), media.fps)


def _read_index(index: Path) -> Iterator[DatasetItem]:
    for number, line in enumerate(_lines(index), start=1):
        if not line.strip():
            continue
        try:
            yield _record(index.parent, json.loads(line))
        except KeyError as error:
            raise DataError(f"data: {index}, line {number}: the field {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise DataError(f"data: {index}, line {number}: {error}") from error


def _lines(index: Path) -> Iterator[str]:
    """The lines of an index in UTF-8 or, where its first bytes say so, UTF-16, as editors and shells save them."""
    try:
        with index.open("rb") as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
        with index.open(encoding="utf-16" if wide else "utf-8-sig", newline="\n") as text:
            yield from text
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data: {index} cannot be read: {error}; save it as UTF-8") from error


def _record(root: Path, row: dict[str, Any]) -> DatasetItem:
    if not isinstance(row, dict):
        raise TypeError(f"an object with file, label, modality and origin is expected, not {type(row).__name__}")
    if row["label"] not in tuple(Label) or row["modality"] not in tuple(Modality):
        raise ValueError("label must be 0 (real) or 1 (synthetic), modality image or video")
    name = str(row["file"])
    os.fsencode(name)  # a ValueError where it can be no name of a file
    at = row.get("at")
    way = PurePosixPath(name if at is not None or (root / name).is_file() else name.replace("\\", "/"))
    if way.is_absolute() or ".." in way.parts or (way.parts[:1] and way.parts[0].endswith(":")):
        raise ValueError(f"{name} lies outside the data set")
    seed, pair = row.get("seed"), str(row.get("pair") or "")
    return DatasetItem(
        path=root / way,
        label=Label(row["label"]),
        modality=Modality(row["modality"]),
        origin=sys.intern(str(row["origin"])),
        pair=pair,
        item=str(row.get("item") or "") or ("" if pair else _content(way)),
        seed=None if seed is None else int(seed),
        licence=sys.intern(str(row.get("licence") or "unknown")),
        enlarge=row.get("enlarge") is True,
        at=None if at is None else int(at),
    )


def _content(way: PurePosixPath) -> str:
    """What a file of an index shows that does not say so itself."""
    place = place_of(way)
    return place.content if place else content_of(way.parts[:-1], way.stem)


def _walk(root: Path, tell: Tell) -> list[DatasetItem]:
    inventory = take_inventory(root)
    records, unlabelled = [], []
    for path in inventory.files:
        way = path.relative_to(root)
        place, modality = place_of(way), modality_of(path)
        if place is None or modality is None:
            unlabelled.append(way)
        else:
            records.append(DatasetItem(path, place.label, modality, place.origin, item=place.content))
    for note in [*inventory.notes(), *_unlabelled(root, unlabelled)]:
        tell(note)
    return records


def _unlabelled(root: Path, ways: Sequence[Path]) -> Iterable[str]:
    if ways:
        folders = Counter(way.parts[0] if len(way.parts) > 1 else "the folder itself" for way in ways)
        listing = ", ".join(f"{name} ({count:,})" for name, count in folders.most_common(5))
        known = "; ".join(f"{label.name.lower()}: {NAMES[label].replace(' ', ', ')}" for label in Label)
        yield f"left out {len(ways):,} in {root}: no folder above them names a label: {listing}; known are {known}"
        from detectors.dataset.presets import resembled  # with the codecs, which a good folder need not wait for

        if (name := resembled(ways)) is not None:
            yield f"{root} resembles the published data set {name}: write {name}:{root}"
