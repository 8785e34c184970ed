"""One evaluation: a detector, a data set, the levels; findings that are the same under the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.dataset.cuts import REFUSED, UNREADABLE, key_of, sifted
from detectors.dataset.items import DatasetItem, Tell, both_classes, read_folder, silence
from detectors.evaluation.answering import Progress, View, ask, views_of
from detectors.evaluation.keeping import KeptAnswers
from detectors.evaluation.metrics import Floats
from detectors.evaluation.selection import select, sizes
from detectors.evaluation.summary import Answers, Findings, alarms, answers, null_findings, summarise
from subnet.game.augment import LEVELS
from subnet.protocols import Detector
from subnet.types import Label, Modality


@dataclass(frozen=True)
class Task:
    """What to evaluate on. `data` is how people name the data set, `root` its folder.

    With `null` every item is shown with black pixels, too (`detectors.evaluation.summary:null_findings`). An `exam` has
    reals alone, and what is found are false alarms (`detectors.evaluation.summary:alarms`).
    """

    data: str
    root: Path
    levels: tuple[int, ...] = LEVELS
    limit: int | None = None
    seed: int = 0
    workers: int = 2
    null: bool = False
    exam: bool = False

    @property
    def views(self) -> tuple[View, ...]:
        return views_of(self.levels)

    @property
    def asked(self) -> tuple[View, ...]:
        """`views`, and those of the null after them."""
        return self.views + tuple(replace(view, blank=True) for view in self.views if self.null)


@dataclass(frozen=True)
class LeftOut:
    """An item that was selected and has no answer: `outcome` is "unreadable" or "refused"."""

    key: str
    record: DatasetItem
    outcome: str
    reason: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Findings, and what they were computed from: answers in the order records x levels, `null` to black media."""

    task: Task
    records: tuple[DatasetItem, ...]
    answers: Answers
    findings: Findings
    null: Answers | None = None
    left_out: tuple[LeftOut, ...] = ()


def items(task: Task, modality: Modality, tell: Tell = silence) -> list[DatasetItem]:
    """The items of the task that can be used; what is left out is told. Raises DataError as `selection` does."""
    return selection(task, modality, tell)[0]


def selection(task: Task, modality: Modality, tell: Tell = silence) -> tuple[list[DatasetItem], tuple[LeftOut, ...]]:
    """The items of the task that can be used, and those that were selected and cannot; these are told, too.

    Raises DataError for a data set without this modality or without one of the classes, and where most are of no use.
    """
    what = task.data if task.data == str(task.root) else f"{task.data} ({task.root})"
    chosen = select(read_folder(task.root, tell), modality, task.limit, task.seed, what, reals_alone=task.exam)
    records, flaws = sifted(chosen, what, tell)
    return records, tuple(LeftOut(key_of(each, task.root), each, flaw.outcome, flaw.reason) for each, flaw in flaws)


def evaluate(
    detectors: Sequence[Detector],
    task: Task,
    records: Sequence[DatasetItem],
    *,
    left_out: Sequence[LeftOut] = (),
    progress: Progress = lambda done: None,
    kept: KeptAnswers | None = None,
) -> list[Evaluation]:
    """Each detector on the very same media; an item that cannot be read any more is left out, as `left_out` were.

    Raises DataError where a class is left without an item.
    """
    p, lost = ask(
        detectors, records, task.asked, task.root, seed=task.seed, workers=task.workers, progress=progress, kept=kept
    )
    gone = [LeftOut(key_of(records[row], task.root), records[row], UNREADABLE, why) for row, why in lost.items()]
    rows = [row for row in range(len(records)) if row not in lost]
    judged = [records[row] for row in rows]
    if not task.exam:
        both_classes(judged, task.data)
    measured = sizes(judged)
    return [
        evaluation(detector, task, judged, each[rows], *measured, left_out=(*left_out, *gone))
        for detector, each in zip(detectors, p, strict=True)
    ]


def evaluation(
    detector: Detector,
    task: Task,
    records: Sequence[DatasetItem],
    p: Floats,
    sides: Sequence[int],
    stored: Sequence[int] = (),
    *,
    left_out: Sequence[LeftOut] = (),
) -> Evaluation:
    """What one detector's answers `p` (records, levels, those to black media after them) come to."""
    levels = [view.level for view in task.views]
    given = answers(records, levels, p[:, : len(levels)], sides, stored)
    blank = answers(records, levels, p[:, len(levels) :], sides, stored) if p.shape[1] > len(levels) else None
    about = {
        "detector": detector.name,
        "weights_hash": detector.weights_hash,
        "modality": detector.modality.value,
        "data": task.data,
        "seed": task.seed,
        "levels": levels,
        **({"exam": True} if task.exam else {}),
    }
    items = np.repeat(np.arange(len(records)), len(levels))
    found = findings(about, items, given, blank, [each.outcome for each in left_out])
    return Evaluation(task, tuple(records), given, found, blank, tuple(left_out))


def findings(
    about: Findings, items: NDArray[np.int64], given: Answers, blank: Answers | None, outcomes: Sequence[str]
) -> Findings:
    """All numbers of a report: `items` (N,) numbers what was judged, `outcomes` are of what was not."""
    _, first = np.unique(items, return_index=True)
    labels = given.y[first]
    counts = {
        "items": len(first),
        "real": int((labels == Label.REAL).sum()),
        "synthetic": int((labels == Label.SYNTHETIC).sum()),
        "outcomes": {"answered": len(first), **{name: list(outcomes).count(name) for name in (UNREADABLE, REFUSED)}},
        "answers": len(given.p),
        "clusters": len(set(given.cluster.tolist())),
        "clusters_by_class": {
            label.name.lower(): len(set(given.cluster[given.y == int(label)].tolist())) for label in Label
        },
    }
    if about.get("exam"):
        return {**about, **counts, **alarms(given, seed=about["seed"])}
    null = {} if blank is None else {"null": null_findings(blank, seed=about["seed"])}
    return {**about, **counts, **summarise(given, seed=about["seed"]), **null}
