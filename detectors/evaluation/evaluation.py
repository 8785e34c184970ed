"""One evaluation: a detector, a data set, the levels; findings that are the same under the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.dataset.cuts import REFUSED, UNREADABLE, Spread, in_threads, key_of, sifted
from detectors.dataset.items import DatasetItem, Tell, both_classes, read_folder, silence
from detectors.evaluation.answering import Progress, View, ask, views_of
from detectors.evaluation.compare import compared
from detectors.evaluation.frame_order import FORMS, Orders, order_findings
from detectors.evaluation.intervals import RESAMPLES
from detectors.evaluation.keeping import KeptAnswers
from detectors.evaluation.metrics import Floats
from detectors.evaluation.selection import select, sizes
from detectors.evaluation.summary import Answers, Findings, alarms, answers, null_findings, summarise
from subnet.errors import DataError
from subnet.game.augment import LEVELS
from subnet.protocols import Detector
from subnet.types import Label, Modality


@dataclass(frozen=True)
class Task:
    """What to evaluate on. `data` is how people name the data set, `root` its folder.

    With `null` every item is shown with black pixels, too (`detectors.evaluation.summary:null_findings`). An `exam` has
    reals alone, and what is found are false alarms (`detectors.evaluation.summary:alarms`). At most `in_forms` items,
    which must be clips, are shown with their frames in another order, too (`detectors.evaluation.frame_order`).
    """

    data: str
    root: Path
    levels: tuple[int, ...] = LEVELS
    limit: int | None = None
    seed: int = 0
    workers: int = 2
    null: bool = False
    exam: bool = False
    in_forms: int = 0

    @property
    def views(self) -> tuple[View, ...]:
        return views_of(self.levels)

    @property
    def asked(self) -> tuple[View, ...]:
        """`views`, those of the null after them, and those of each of FORMS."""
        blank = tuple(replace(view, blank=True) for view in self.views if self.null)
        forms = tuple(replace(view, form=form) for form in FORMS for view in self.views if self.in_forms)
        return self.views + blank + forms


@dataclass(frozen=True)
class LeftOut:
    """An item that was selected and has no answer: `outcome` is "unreadable" or "refused"."""

    key: str
    record: DatasetItem
    outcome: str
    reason: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Findings, and what they were computed from: answers in the order records x levels, `null` to black media.

    `orders` are to clips with their frames in another order.
    """

    task: Task
    records: tuple[DatasetItem, ...]
    answers: Answers
    findings: Findings
    null: Answers | None = None
    left_out: tuple[LeftOut, ...] = ()
    orders: Orders | None = None


def items(task: Task, modality: Modality, tell: Tell = silence) -> list[DatasetItem]:
    """The items of the task that can be used; what is left out is told. Raises DataError as `selection` does."""
    return selection(task, modality, tell)[0]


def selection(
    task: Task, modality: Modality, tell: Tell = silence, spread: Spread = in_threads
) -> tuple[list[DatasetItem], tuple[LeftOut, ...]]:
    """The items of the task that can be used, and those that were selected and cannot; these are told, too.

    Raises DataError for a data set without this modality or without one of the classes, and where most are of no use.
    """
    what = task.data if task.data == str(task.root) else f"{task.data} ({task.root})"
    chosen = select(read_folder(task.root, tell), modality, task.limit, task.seed, what, reals_alone=task.exam)
    records, flaws = sifted(chosen, what, tell, spread)
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
    """Each detector on the very same media. Raises DataError where a class is left without an item."""
    p, lost = ask(
        detectors,
        records,
        task.asked,
        task.root,
        seed=task.seed,
        workers=task.workers,
        progress=progress,
        kept=kept,
        in_forms=shown_in_forms(task, records),
    )
    return evaluations(detectors, task, records, p, lost, left_out=left_out)


def evaluations(
    detectors: Sequence[Detector],
    task: Task,
    records: Sequence[DatasetItem],
    p: Floats,
    lost: Mapping[int, str],
    *,
    left_out: Sequence[LeftOut] = (),
    spread: Spread = in_threads,
) -> list[Evaluation]:
    """What the answers `p` (D, records, views) of each detector come to; what is `lost` is left out, as `left_out` was.

    Raises DataError where a class is left without an item.
    """
    gone = [LeftOut(key_of(records[row], task.root), records[row], UNREADABLE, why) for row, why in lost.items()]
    rows = [row for row in range(len(records)) if row not in lost]
    judged = [records[row] for row in rows]
    if not task.exam:
        both_classes(judged, task.data)
    measured = sizes(judged, spread)
    return [
        evaluation(detector, task, judged, each[rows], *measured, left_out=(*left_out, *gone))
        for detector, each in zip(detectors, p, strict=True)
    ]


def shown_in_forms(task: Task, records: Sequence[DatasetItem]) -> set[int]:
    """Numbers of the items that are shown in FORMS: of both classes, twins together, as `select` takes them."""
    if not task.in_forms:
        return set()
    few = select(records, Modality.VIDEO, task.in_forms, task.seed, task.data)
    chosen = {id(record) for record in few}
    return {row for row, record in enumerate(records) if id(record) in chosen}


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
    """What one detector's answers `p` (records, views of the task in the order of `Task.asked`) come to."""
    levels = [view.level for view in task.views]
    groups = [p[:, start : start + len(levels)] for start in range(0, p.shape[1], len(levels))]
    given = answers(records, levels, groups[0], sides, stored)
    blank = answers(records, levels, groups[1], sides, stored) if task.null else None
    orders = orders_of(groups[-len(FORMS) :]) if task.in_forms else None
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
    found = findings(about, items, given, blank, [each.outcome for each in left_out], orders)
    return Evaluation(task, tuple(records), given, found, blank, tuple(left_out), orders)


def orders_of(groups: Sequence[Floats]) -> Orders:
    """Answers (records, levels) in each of FORMS; NaN are those of items that were not shown in any."""
    asked = np.isfinite(groups[0]).reshape(-1)
    return Orders(asked, {form: p.reshape(-1)[asked] for form, p in zip(FORMS, groups, strict=True)})


def findings(
    about: Findings,
    items: NDArray[np.int64],
    given: Answers,
    blank: Answers | None,
    outcomes: Sequence[str],
    orders: Orders | None = None,
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
    moved = {} if orders is None else order_findings(given, orders, seed=about["seed"])
    return {**about, **counts, **summarise(given, seed=about["seed"]), **null, **moved}


def compare(first: Evaluation, second: Evaluation, *, times: int = RESAMPLES) -> dict[str, Any]:
    """What `compared` says of two detectors. Raises DataError when they were not asked the same, by one `evaluate`."""
    one, other = first.answers, second.answers
    if first.records != second.records or not np.array_equal(one.level, other.level):
        raise DataError("compare: the two detectors were not asked the same; evaluate them together")
    names = first.findings["detector"], second.findings["detector"]
    return compared(names, one, other.p, times=times, seed=first.task.seed)
