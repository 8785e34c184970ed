"""Answers that are kept as they come, so that an evaluation that was ended goes on: a file of JSON lines.

The first line says which evaluation it is; each other one has an item's answers, or why it could not be read. A line
that was cut when the process was killed is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from detectors.evaluation.metrics import Floats
from subnet.errors import SettingsError


class KeptAnswers:
    """Answers in an open file; those of an earlier run are in `lines`."""

    def __init__(self, file: IO[bytes], head: bytes, lines: Sequence[bytes]) -> None:
        self._file, self._head, self._lines = file, head, lines

    def restore(self, keys: Sequence[str], together: int, p: Floats, lost: dict[int, str]) -> int:
        """Put what was kept into `p` (D, records, views) and `lost`; returns how many records that were.

        A multiple of `together` records, or all: those after them are asked again in the batch that they belong to.
        """
        good = list(answers_in(self._lines[: len(keys)], keys, (p.shape[0], p.shape[2])))
        done = len(keys) if len(good) == len(keys) else len(good) // together * together
        for row, each in enumerate(good[:done]):
            if isinstance(each, str):
                lost[row] = each
            else:
                p[:, row] = each
        self._file.seek(len(self._head) + sum(map(len, self._lines[:done])))
        self._file.truncate()
        return done

    def keep(self, keys: Sequence[str], p: Floats, lost: Mapping[int, str]) -> None:
        """Append the answers `p` (D, keys, views) to these items; `lost` says why some have none, by their place."""
        self._file.writelines(lines_of(keys, p, lost))
        self._file.flush()


def lines_of(keys: Sequence[str], p: Floats, lost: Mapping[int, str]) -> list[bytes]:
    """A line for each item: its answers out of `p` (D, keys, views), or why it has none."""
    found = [{"unreadable": lost[at]} if at in lost else {"p": p[:, at].tolist()} for at in range(len(keys))]
    return [json.dumps({"item": key, **each}).encode() + b"\n" for key, each in zip(keys, found, strict=True)]


def answers_in(lines: Sequence[bytes], keys: Sequence[str], shape: tuple[int, int]) -> Iterator[str | Floats]:
    """What the lines say, up to the first that is damaged."""
    for line, key in zip(lines, keys, strict=False):
        try:
            row = json.loads(line)
            found = str(row["unreadable"]) if "unreadable" in row else np.array(row["p"], dtype=np.float64)
            if row["item"] != key or (not isinstance(found, str) and found.shape != shape):
                return
        except (ValueError, TypeError, KeyError):
            return
        yield found


@contextmanager
def kept_answers(path: Path, about: Mapping[str, Any]) -> Iterator[KeptAnswers]:
    """The answers of the evaluation `about` (JSON) in the file `path`, which is made where there is none.

    Raises SettingsError where the file is of another evaluation, and says what differs.
    """
    head = json.dumps(about).encode() + b"\n"
    path.touch()
    with path.open("r+b") as file:
        lines = [line for line in file if line.endswith(b"\n")]
        if lines and lines[0] != head:
            raise other_evaluation(path, lines[0], about)
        if not lines:
            file.seek(0)
            file.truncate()
            file.write(head)
            file.flush()
        yield KeptAnswers(file, head, lines[1:])


def other_evaluation(path: Path, head: bytes, about: Mapping[str, Any]) -> SettingsError:
    """The error where `path` holds answers of another evaluation than `about`, as its first line `head` says."""
    try:
        there = json.loads(head)
        differs = [name for name, value in json.loads(json.dumps(about)).items() if there.get(name) != value]
    except (ValueError, AttributeError):
        differs = []
    what = f"of an evaluation with other {', '.join(differs)}" if differs else "damaged"
    return SettingsError(f"--out: the answers in {path} are {what}; give another folder, or delete that file")
