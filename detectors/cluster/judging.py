"""An evaluation's answers from a Ray cluster: the same numbers as without, every item once, whoever dies on the way.

A part is some whole batches of records. Tasks show its items in all views, an actor answers them batch by batch, just
as `detectors.evaluation.answering` does, and writes them to a file of their own. What is there is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from detectors.cluster.flow import Crew, check_data, flow
from detectors.cluster.parts import Part, PartFolder
from detectors.dataset.cuts import key_of, pixel_bytes
from detectors.dataset.items import DatasetItem
from detectors.evaluation.answering import (
    Progress,
    Shown,
    View,
    answer,
    records_of_batch,
    show_item,
    without_forms,
)
from detectors.evaluation.evaluation import Task, shown_in_forms
from detectors.evaluation.metrics import Floats
from subnet.protocols import Detector

MOST = 32 << 20  # bytes of a part as it is shown, about


@dataclass(frozen=True)
class Asked:
    """A part with its items, and places of those that are shown in forms: on its way to whoever shows them."""

    part: Part
    records: Sequence[DatasetItem]
    in_forms: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Ready:
    """A part as it is shown, with the names of its items."""

    part: Part
    keys: Sequence[str]
    rows: Sequence[Shown]
    in_forms: frozenset[int]


def judge(
    open_all: Callable[[], Sequence[Detector]],
    count: int,
    task: Task,
    records: Sequence[DatasetItem],
    kept: PartFolder,
    crew: Crew,
    progress: Progress = lambda done: None,
) -> tuple[Floats, dict[int, str]]:
    """What `detectors.evaluation.answering.ask` gives, of the `count` detectors that `open_all` opens in each actor.

    Raises DataError where a host has not the data, or a part ends its worker again and again.
    """
    views = task.asked
    keys = [key_of(record, task.root) for record in records]
    parts = parts_of(records, views)
    there = kept.finished(parts)
    done = sum(part.stop - part.start for part in there)
    progress(done * len(views))
    forms = shown_in_forms(task, records)
    work = [asked_of(part, records, forms) for part in parts if part not in there]
    show = partial(show_part, views=views, root=task.root, seed=task.seed)
    for part in flow(work, show, partial(Judge, open_all, views, kept), crew) if work else ():
        done += part.stop - part.start
        progress(done * len(views))
    return kept.read(parts, keys, (count, len(views)))


def asked_of(part: Part, records: Sequence[DatasetItem], in_forms: Collection[int]) -> Asked:
    """The part with its own of all `records`, and of the numbers `in_forms`."""
    places = frozenset(row - part.start for row in in_forms if part.start <= row < part.stop)
    return Asked(part, records[part.start : part.stop], places)


def parts_of(records: Sequence[DatasetItem], views: Sequence[View]) -> list[Part]:
    """Ranges of `records` that begin where a batch does."""
    batch = records_of_batch(views)
    size = batch * max(1, MOST // (batch * len(without_forms(views)) * pixel_bytes(records[0].modality)))
    return [Part(start, min(len(records), start + size)) for start in range(0, len(records), size)]


def show_part(asked: Asked, views: Sequence[View], root: Path, seed: int) -> Ready:
    check_data(root)
    rows = [show_item(record, without_forms(views), root, seed) for record in asked.records]
    return Ready(asked.part, [key_of(record, root) for record in asked.records], rows, asked.in_forms)


class Judge:
    """Answers parts, and writes them."""

    def __init__(self, open_all: Callable[[], Sequence[Detector]], views: Sequence[View], kept: PartFolder) -> None:
        self._detectors, self._views, self._kept = open_all(), views, kept

    def __call__(self, ready: Ready) -> Part:
        batch = records_of_batch(self._views)
        found: list[Floats] = []
        lost: dict[int, str] = {}
        for start in range(0, len(ready.rows), batch):
            forms = {place - start for place in ready.in_forms}
            p, unread = answer(self._detectors, self._views, ready.rows[start : start + batch], forms)
            found.append(p)
            lost |= {start + at: why for at, why in unread.items()}
        self._kept.write(ready.part, ready.keys, np.concatenate(found, axis=1), lost)
        return ready.part
