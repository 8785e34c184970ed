"""The everyday exam as a folder: what a detector should never call synthetic, by kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from neurons.datasets.whole_folder import Progress, whole_folder
from subnet.errors import SettingsError
from subnet.game.sampling import derive
from subnet.media.dataset_folder import IndexRow, index_row, write_media
from subnet.media.everyday import EVERYDAY
from subnet.types import Label, Modality, Provenance

if TYPE_CHECKING:
    from subnet.media.everyday.pictures import Counts

VERSION = 1  # of the pictures: another one is made anew


@dataclass(frozen=True)
class EverydaySpec:
    """The exam, of which there is one."""

    folder: str = f"{EVERYDAY}-{VERSION}"


def refused_for_training(text: str) -> SettingsError:
    """What is said to who would learn from the exam."""
    return SettingsError(
        f"--data {text}: the everyday exam has no synthetic items, and nothing is trained or tuned on it; take "
        "embedded:train, or ./everyday for a folder of that name"
    )


def everyday_folder(root: Path, progress: Progress = lambda done: None, counts: Counts | None = None) -> Path:
    """The folder of the exam below `root`, made the first time, with all its pictures or `counts` of them."""
    return whole_folder(root, EverydaySpec().folder, partial(_rows, counts), progress)


def _rows(counts: Counts | None, folder: Path) -> Iterator[IndexRow]:
    from subnet.media.everyday.pictures import ALL, pictures

    for each in pictures(counts or ALL):
        file = f"{derive(EVERYDAY, each.kind, each.name):016x}.{'webp' if each.data[:4] == b'RIFF' else 'jpg'}"
        write_media(folder, file, each.data)
        about = Provenance(EVERYDAY, each.item, each.licence)
        yield index_row(file, Label.REAL, Modality.IMAGE, each.kind, "", about)
