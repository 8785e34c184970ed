"""A data set as a folder: media files, and `index.jsonl` that says what each is. Nothing else may give a label away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from subnet.files import write_atomically
from subnet.types import Label, Modality, Provenance

INDEX = "index.jsonl"
EPOCH = 946_684_800  # 2000-01-01: the time of every media file, since times tell labels


@dataclass(frozen=True)
class IndexRow:
    """One line of the index. `file` is relative to the folder, with slashes; twins share a `pair`, "" is none.

    `enlarge` is written where it is true alone: the picture is below 64 pixels a side, and is read scaled up. `at` is
    written of items in shards: where the item `file` begins in the shard that its name begins with.
    """

    file: str
    label: int
    modality: str
    origin: str
    pair: str
    seed: int | None
    licence: str
    item: str
    enlarge: bool = False
    at: int | None = None


def index_row(file: str, label: Label, modality: Modality, origin: str, pair: str, about: Provenance) -> IndexRow:
    """The line of a media file whose provenance is `about`."""
    return IndexRow(file, int(label), str(modality), origin, pair, about.seed, about.licence, about.item)


def write_media(root: Path, file: str, data: bytes) -> None:
    """Write one media file of the data set at `root`. Raises OSError."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (EPOCH, EPOCH))


def write_index(root: Path, rows: Iterable[IndexRow]) -> None:
    """Write the index when all of `rows` are known; it appears whole or not at all. Raises OSError."""
    write_atomically(root / INDEX, "".join(map(_line, rows)).encode())


def _line(row: IndexRow) -> str:
    fields = asdict(row)
    for name, without in (("enlarge", False), ("at", None)):
        if fields[name] is without:
            del fields[name]
    return json.dumps(fields, sort_keys=True) + "\n"
