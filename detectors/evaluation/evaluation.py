"""One evaluation: a detector, a data set, the levels; findings that are the same under the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detectors.dataset.cuts import sift
from detectors.dataset.items import DatasetItem, Tell, read_folder, silence
from detectors.evaluation.answering import Progress, View, score, views_of
from detectors.evaluation.metrics import Floats
from detectors.evaluation.selection import select, sizes
from detectors.evaluation.summary import Answers, Findings, answers, summarise
from subnet.game.augment import LEVELS
from subnet.protocols import Detector
from subnet.types import Label, Modality


@dataclass(frozen=True)
class Task:
    """What to evaluate on. `data` is how people name the data set, `root` its folder."""

    data: str
    root: Path
    levels: tuple[int, ...] = LEVELS
    limit: int | None = None
    seed: int = 0
    workers: int = 2

    @property
    def views(self) -> tuple[View, ...]:
        return views_of(self.levels)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Findings, and all that they were computed from: answers in the order records x levels."""

    task: Task
    records: tuple[DatasetItem, ...]
    answers: Answers
    findings: Findings


def items(task: Task, modality: Modality, tell: Tell = silence) -> list[DatasetItem]:
    """The items of the task that can be used; what is left out is told.

    Raises DataError for a data set without this modality or without one of the classes, and where most are of no use.
    """
    what = task.data if task.data == str(task.root) else f"{task.data} ({task.root})"
    chosen = select(read_folder(task.root, tell), modality, task.limit, task.seed, what)
    return sift(chosen, what, tell)


def evaluate(
    detectors: Sequence[Detector], task: Task, records: Sequence[DatasetItem], *, progress: Progress = lambda done: None
) -> list[Evaluation]:
    """Each detector on the very same media. Raises DataError for an item that cannot be read."""
    measured = sizes(records)
    p = score(detectors, records, task.views, task.root, seed=task.seed, workers=task.workers, progress=progress)
    return [evaluation(detector, task, records, row, measured) for detector, row in zip(detectors, p, strict=True)]


def evaluation(
    detector: Detector, task: Task, records: Sequence[DatasetItem], p: Floats, sides: Sequence[int]
) -> Evaluation:
    """What one detector's answers `p` (records, levels) come to."""
    given = answers(records, [view.level for view in task.views], p, sides)
    about = {
        "detector": detector.name,
        "weights_hash": detector.weights_hash,
        "modality": detector.modality.value,
        "data": task.data,
        "seed": task.seed,
        "levels": [view.level for view in task.views],
        "items": len(records),
        "real": sum(record.label is Label.REAL for record in records),
        "synthetic": sum(record.label is Label.SYNTHETIC for record in records),
        "answers": len(given.p),
        "clusters": int(given.cluster.max()) + 1,
        "clusters_by_class": {
            label.name.lower(): len(set(given.cluster[given.y == int(label)].tolist())) for label in Label
        },
    }
    return Evaluation(task, tuple(records), given, {**about, **summarise(given, seed=task.seed)})
