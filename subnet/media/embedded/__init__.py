"""The embedded real set: photographs and camera clips that are there offline, with the provenance of each.

`index.csv` has one row a file, with its author, licence and origin; `NOTICE` at the repository root sums it up. Splits
are by source photograph or clip, never by crop: nothing that shows the test split's scenes is ever trained on.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from subnet.types import Modality, Split

COLUMNS = (
    "id", "file", "modality", "source", "category", "split", "width", "height", "frames", "fps",
    "title", "author", "licence", "origin", "sha256",
)  # fmt: skip
CATEGORIES = ("person", "animal", "object", "landscape", "building", "texture", "aerial", "food", "vehicle")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Item:
    """One file of the set: a row of `index.csv`. Sizes are in pixels, `fps` in frames a second (None for a photo)."""

    id: str
    file: str
    modality: Modality
    source: str
    category: str
    split: Split
    width: int
    height: int
    frames: int
    fps: float | None
    title: str
    author: str
    licence: str
    origin: str
    sha256: str


def _item(row: dict[str, str]) -> Item:
    text = {
        key: row[key] for key in ("id", "file", "source", "category", "title", "author", "licence", "origin", "sha256")
    }
    return Item(
        modality=Modality(row["modality"]),
        split=Split(row["split"]),
        width=int(row["width"]),
        height=int(row["height"]),
        frames=int(row["frames"]),
        fps=float(row["fps"]) if row["fps"] else None,
        **text,
    )


@cache
def index_of(folder: Path) -> tuple[Item, ...]:
    """The rows of the `index.csv` in `folder`, read once and kept."""
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_item(row) for row in csv.DictReader(file))


def items(modality: Modality | None = None, split: str | None = None) -> tuple[Item, ...]:
    """The rows of the index in its order, all or those of one modality and one split; read once and kept.

    Raises `ValueError` for a split that is not one of `Split`.
    """
    wanted = None if split is None else Split(split)
    return tuple(
        item
        for item in index_of(HERE)
        if (modality is None or item.modality == modality) and (wanted is None or item.split == wanted)
    )


def path(item: Item) -> Path:
    """Where the file of `item` lies."""
    return HERE / item.file


def verify() -> list[str]:
    """The ids of the items whose file is missing or is not the one that was indexed; empty when all is well."""
    return [item.id for item in items() if not intact(item, path(item))]


def intact(item: Item, file: Path) -> bool:
    """Whether `file` is there, and is the one that was indexed."""
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == item.sha256
