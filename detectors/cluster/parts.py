"""Answers of an evaluation in parts, by many processes: a file for each, named by its range, written once as a whole.

A file holds what `detectors.evaluation.keeping` holds of these items. Its name also says of which evaluation it is, so
that a part that is made twice, or by a process that everybody took for dead, is the same file with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.evaluation.keeping import answers_in, lines_of, other_evaluation
from detectors.evaluation.metrics import Floats
from subnet.errors import StateError
from subnet.files import write_atomically

ABOUT = "about.json"


@dataclass(frozen=True)
class Part:
    """Records from number `start` up to `stop`, which is no longer among them."""

    start: int
    stop: int


@dataclass(frozen=True)
class PartFolder:
    """The parts of one evaluation, which `digest` names."""

    folder: Path
    digest: str

    def path(self, part: Part) -> Path:
        return self.folder / f"{part.start:09d}-{part.stop:09d}-{self.digest}.jsonl"

    def finished(self, parts: Sequence[Part]) -> set[Part]:
        """Those of `parts` that are there."""
        names = {path.name for path in self.folder.iterdir()}
        return {part for part in parts if self.path(part).name in names}

    def write(self, part: Part, keys: Sequence[str], p: Floats, lost: Mapping[int, str]) -> None:
        """The answers `p` (D, items, views) to the items `keys`; `lost` says why some have none, by place."""
        write_atomically(self.path(part), b"".join(lines_of(keys, p, lost)))

    def read(self, parts: Sequence[Part], keys: Sequence[str], shape: tuple[int, int]) -> tuple[Floats, dict[int, str]]:
        """All answers (D, items, views), and why items have none. Raises StateError for a part that is not whole."""
        p = np.full((shape[0], len(keys), shape[1]), np.nan)
        lost: dict[int, str] = {}
        for part in parts:
            with self.path(part).open("rb") as file:
                found = list(answers_in(file.readlines(), keys[part.start : part.stop], shape))
            if len(found) < part.stop - part.start:
                raise StateError(f"--out: {self.path(part)} is damaged; delete it, and start again to go on")
            for row, each in enumerate(found, part.start):
                if isinstance(each, str):
                    lost[row] = each
                else:
                    p[:, row] = each
        return p, lost


def forget(folder: Path) -> None:
    """Take parts away, once a report has all of them; another folder of this name is left alone."""
    if (folder / ABOUT).is_file():
        shutil.rmtree(folder)


def part_folder(folder: Path, about: Mapping[str, Any]) -> PartFolder:
    """The parts of the evaluation `about` (JSON) in `folder`, which is made where there is none.

    Raises SettingsError where it has those of another evaluation, and says what differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text, path = json.dumps(about).encode(), folder / ABOUT
    there = path.read_bytes() if path.is_file() else text
    if there != text:
        raise other_evaluation(path, there, about)
    write_atomically(path, text)
    return PartFolder(folder, hashlib.sha256(text).hexdigest()[:12])
