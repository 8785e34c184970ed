"""A folder of media as two data sets, one to train on and one to judge by. Twins of one item stay together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from detectors.data import DatasetItem, both_classes, read_folder
from subnet.errors import DataError
from subnet.game.sampling import derive
from subnet.media.dataset_folder import IndexRow, write_index

SHARE = 0.15  # of the items, for validation


def split(root: Path, into: Path, *, seed: int = 0, share: float = SHARE) -> tuple[Path, Path]:
    """Folders `into`/train and `into`/validation with an index each; files are hard links where the disk allows.

    Where an item goes depends on the seed and its pair, or item, alone. Raises DataError when a side lacks a class.
    """
    records = read_folder(root)
    held = [record for record in records if _held_out(record, seed, share)]
    kept = [record for record in records if not _held_out(record, seed, share)]
    for side, name in ((kept, "training"), (held, "validation")):
        try:
            both_classes(side, f"the {name} part of {root}")
        except DataError as error:
            raise DataError(f"{error}; give more data, or a folder of its own with --validation") from error
    return _write(kept, root, into / "train"), _write(held, root, into / "validation")


def _held_out(record: DatasetItem, seed: int, share: float) -> bool:
    return derive("held out", seed, record.pair or record.item or str(record.path)) < share * 2**63


def _write(records: Sequence[DatasetItem], root: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    rows = []
    for record in records:
        name = record.path.relative_to(root if record.path.is_relative_to(root) else root.resolve())
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(record.path, folder / name)
        except OSError:  # another disk, or one without links
            shutil.copy2(record.path, folder / name)
        rows.append(
            IndexRow(
                file=name.as_posix(),
                label=int(record.label),
                modality=str(record.modality),
                origin=record.origin,
                pair=record.pair,
                seed=record.seed,
                licence=record.licence,
                item=record.item,
            )
        )
    write_index(folder, rows)
    return folder
