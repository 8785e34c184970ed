"""A folder of media as two data sets, one to train on and one to judge by. What shows the same stays together."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, Tell, both_classes, read_folder, silence
from detectors.dataset.links import index_line, link_items
from subnet.errors import DataError, SettingsError
from subnet.game.sampling import derive
from subnet.media.dataset_folder import write_index

SIDES = ("train", "validation")
SHARE = 0.15  # of the items, for validation
LINK = PurePath("files")  # in a folder that holds an index of files that lie elsewhere
MARK = ".held-out"  # in a folder that a split wrote to: the two sides there may be replaced by those of another


def split(root: Path, into: Path, *, seed: int = 0, share: float = SHARE, tell: Tell = silence) -> tuple[Path, Path]:
    """Folders `into`/train and `into`/validation with an index each; files are hard links where the disk allows.

    Where an item goes depends on the seed and its cluster alone: twins, crops of one photograph and frames of one clip
    go together. Raises DataError when a side lacks a class, SettingsError where `into` is no place to write to. What is
    left out is told.
    """
    _check_place(root, into)
    records = read_folder(root, tell)
    names = _cluster_names(records)
    out = {name for name in set(names) if derive("held out", seed, name) < share * 2**63}
    held = [record for record, name in zip(records, names, strict=True) if name in out]
    kept = [record for record, name in zip(records, names, strict=True) if name not in out]
    for side, name in ((kept, "training"), (held, "validation")):
        try:
            both_classes(side, f"the {name} part of {root}")
        except DataError as error:
            raise DataError(
                f"{error} ({len(set(names)):,} clips and photographs, of which {len(out):,} are held out); "
                "give more data, or a folder of its own with --validation"
            ) from error
    into.mkdir(parents=True, exist_ok=True)
    (into / MARK).touch()
    return _write(kept, root, into / SIDES[0]), _write(held, root, into / SIDES[1])


def _check_place(root: Path, into: Path) -> None:
    """Raises SettingsError where a split would be read as data the next time, or replace what no split has made."""
    data, place = root.resolve(), into.resolve()
    if place.is_relative_to(data) or data.is_relative_to(place):
        raise SettingsError(
            f"--out: what is held out of {root} would lie in {into}, and one of the two is inside the other; "
            "name a folder elsewhere"
        )
    others = sorted(path.name for path in into.iterdir()) if into.is_dir() else []
    if others and MARK not in others:
        raise SettingsError(f"--out: {into / others[0]} is there already and no run made it; name another folder")


def _cluster_names(records: Sequence[DatasetItem]) -> list[str]:
    """For each record the name of its cluster: the first, in order, of the pairs, or else items, in it."""
    names: dict[int, str] = {}
    numbers = clusters(records).tolist()
    for record, number in zip(records, numbers, strict=True):
        name = record.pair or record.item
        names[number] = min(name, names.get(number, name))
    return [names[number] for number in numbers]


def _write(records: Sequence[DatasetItem], root: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    if (root / LINK).is_symlink():
        return write_linked(records, root / LINK, folder)
    if any(record.at is not None for record in records):
        return write_linked(records, root, folder)
    write_index(folder, link_items(records, root, folder))
    return folder


def write_linked(records: Sequence[DatasetItem], root: Path, folder: Path) -> Path:
    """A data set `folder` of items below `root`: an index, and one link to `root`.

    Raises SettingsError where the disk takes no links.
    """
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / LINK
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(root.resolve(), target_is_directory=True)
    except OSError as error:
        raise SettingsError(f"{folder}: {error.strerror}; a disk that takes symbolic links is needed") from error
    write_index(folder, [index_line(record, LINK / record.path.relative_to(root)) for record in records])
    return folder
