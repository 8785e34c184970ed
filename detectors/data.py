"""Data sets on disk: a folder with an index, or a folder with `real/` and `fake/`.

With `index.jsonl` every line is one item (file, label, modality, origin, pair, seed, licence, item). Without it the
label is the first of `real` and `fake` on the way to the file, and the origin the folder below that, or else its name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subnet.errors import DataError, MediaError
from subnet.types import Label, Media, Modality

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi"})
SIDES = {"real": Label.REAL, "fake": Label.SYNTHETIC}


@dataclass(frozen=True)
class DatasetItem:
    """One item of a data set. `pair` is shared by items with the same content, "" where there is no twin."""

    path: Path
    label: Label
    modality: Modality
    origin: str
    pair: str = ""
    item: str = ""
    seed: int | None = None
    licence: str = "unknown"


def read_folder(root: Path) -> list[DatasetItem]:
    """All items below `root`, in a stable order. Raises DataError, naming the folder or line, when there are none."""
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"data: {root} is not a folder")
    index = root / "index.jsonl"
    records = _read_index(index) if index.is_file() else _walk(root)
    if not records:
        raise DataError(f"data: {root} holds no images or clips; expected index.jsonl, or folders real/ and fake/")
    return records


def both_classes(records: Sequence[DatasetItem], what: str) -> None:
    """Raises DataError when a class is missing from `records`."""
    for label in Label:
        if not any(record.label is label for record in records):
            raise DataError(f"data: {what} holds no {label.name.lower()} items among {len(records)}; both are needed")


def load_media(record: DatasetItem) -> Media:
    """Decode one item. Raises DataError naming the file."""
    from subnet.codec import image as codec

    try:
        data = record.path.read_bytes()
        return codec.decode_image(data) if record.modality is Modality.IMAGE else codec.decode_video(data)
    except (OSError, MediaError) as error:
        raise DataError(f"data: {record.path} cannot be read: {error}") from error


def _read_index(index: Path) -> list[DatasetItem]:
    records = []
    for number, line in enumerate(index.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(_record(index.parent, json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"data: {index}, line {number}: {type(error).__name__} {error}") from error
    return records


def _record(root: Path, row: dict[str, Any]) -> DatasetItem:
    path = (root / str(row["file"])).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{row['file']} lies outside the data set")
    seed = row.get("seed")
    return DatasetItem(
        path=path,
        label=Label(row["label"]),
        modality=Modality(row["modality"]),
        origin=str(row["origin"]),
        pair=str(row.get("pair") or ""),
        item=str(row.get("item") or ""),
        seed=None if seed is None else int(seed),
        licence=str(row.get("licence") or "unknown"),
    )


def _walk(root: Path) -> list[DatasetItem]:
    records = []
    for path in sorted(root.rglob("*")):
        modality = Modality.IMAGE if path.suffix.lower() in IMAGES else Modality.VIDEO
        if path.suffix.lower() not in IMAGES | VIDEOS or not path.is_file():
            continue
        parts = path.relative_to(root).parts
        at = next((i for i, part in enumerate(parts[:-1]) if part.lower() in SIDES), None)
        if at is None:
            continue
        origin = parts[at + 1] if at + 2 < len(parts) else parts[at].lower()
        records.append(DatasetItem(path, SIDES[parts[at].lower()], modality, origin, item=str(path.relative_to(root))))
    return records
