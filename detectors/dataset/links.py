"""Items of a data set in another folder, without their bytes being stored twice where the disk allows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

from detectors.dataset.items import DatasetItem
from subnet.media.dataset_folder import IndexRow


def link_items(records: Sequence[DatasetItem], root: Path, folder: Path) -> list[IndexRow]:
    """Put the files of `records`, which lie below `root`, at the same places below `folder`; returns their lines."""
    rows = []
    for record in records:
        name = record.path.relative_to(root)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(record.path.resolve(), folder / name)  # of a link what it leads to
        except OSError:  # another disk, or one without links
            shutil.copy2(record.path, folder / name)
        rows.append(index_line(record, name))
    return rows


def index_line(record: DatasetItem, name: PurePath) -> IndexRow:
    """The line of an index for an item that lies at `name` in its folder."""
    return IndexRow(
        file=name.as_posix(),
        label=int(record.label),
        modality=str(record.modality),
        origin=record.origin,
        pair=record.pair,
        seed=record.seed,
        licence=record.licence,
        item=record.item,
        enlarge=record.enlarge,
        at=record.at,
    )
