"""Look-up: what the validator's augmentation does to it, level by level, and how often it takes in the unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem
from detectors.evaluation.answering import variants
from detectors.evaluation.evaluation import Evaluation, Task, evaluate, items
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import recall
from detectors.evaluation.report import plots
from detectors.loading import open_detector
from detectors.retrieval.index import Index, Match
from detectors.studies.controls import CHANCE, against
from detectors.studies.report import Cell, Claim, Picture, StudyReport, StudySettings, Table
from detectors.torch_detector import TorchDetector
from detectors.training.loop import Progress, Training, train
from subnet.protocols import Detector
from subnet.types import Modality

NAME = "retrieval"
QUICK, LIMIT = 40, 150  # items of each class that are looked up
NETS = ("exact", "hash", "embedding")

CLAIMS = (
    Claim(
        "UnivFD's nearest neighbour among CLIP-L/14 features, mean accuracy beside 93.4 mean AP of its linear probe",
        "CLIP's weights and ForenSynths are not at hand here",
        "assay train retrieval --data ForenSynths/train && "
        "assay evaluate runs/train-retrieval/retrieval.safetensors --data ForenSynths/test",
    ),
)


@dataclass(frozen=True)
class Answer:
    """An item at a level, and what the index took it for."""

    record: DatasetItem
    level: int
    match: Match | None


def study(settings: StudySettings) -> StudyReport:
    """Fill an index with the training items, and look those up and items that it does not hold, at each level."""

    def watch(progress: Progress) -> None:
        settings.stage("fill", progress.step, progress.steps)

    limit = QUICK if settings.quick else LIMIT
    tasks = {
        "known": Task("known", settings.train, limit=limit, seed=settings.seed),
        "unknown": Task("unknown", settings.test, limit=limit, seed=settings.seed),
    }
    items(tasks["unknown"], Modality.IMAGE)  # before anything is trained
    path = train(
        Training(NAME, settings.train, settings.out / f"{NAME}.safetensors", settings.validation, settings.seed),
        watch,
        settings.tell,
    ).weights
    detector = open_detector(f"{NAME}={path}", device=settings.device)
    found = {name: _look_up(settings, detector, name, task) for name, task in tasks.items()}
    judged = {name: _judge(settings, detector, name, task) for name, task in tasks.items()}
    rates = hits(found)
    shares = {name: row[0] for name, row in rates.rows.items() if isinstance(row[0], Mapping)}
    return StudyReport(
        name=NAME,
        summary="Look-up in an index of known pictures: membership with its evidence, and no more than that.",
        tables={"hits": rates, "answers": answers(judged)},
        pictures={
            "hits": Picture(plots.bars(shares, "share that is found"), "Share taken for a known item, by level.")
        },
        claims=CLAIMS,
        facts={"known items": len(found["known"]) // len(tasks["known"].views), "seed": settings.seed},
    )


def _look_up(settings: StudySettings, detector: Detector, name: str, task: Task) -> list[Answer]:
    if not isinstance(detector, TorchDetector) or not isinstance(detector.network, Index):
        raise TypeError(f"{detector.name} is no index")
    records = items(task, Modality.IMAGE, settings.tell)
    found = []
    for number, record in enumerate(records, start=1):
        for view, media in zip(task.views, variants(record, task.views, task.root, task.seed), strict=True):
            (match,) = detector.network.matches(detector.views(media))
            found.append(Answer(record, view.level, match))
        settings.stage(f"look up {name}", number, len(records))
    return found


def _judge(settings: StudySettings, detector: Detector, name: str, task: Task) -> Evaluation:
    records = items(task, Modality.IMAGE)
    total = len(records) * len(task.views)
    return evaluate([detector], task, records, progress=lambda done: settings.stage(f"evaluate {name}", done, total))[0]


def hits(found: Mapping[str, Sequence[Answer]]) -> Table:
    """For known and unknown items at each level: share that is found, by which net, and how truly."""
    rows: dict[str, Sequence[Cell]] = {}
    for name, each in found.items():
        for level in sorted({answer.level for answer in each}):
            rows[f"{name}, level {level}"] = _row([answer for answer in each if answer.level == level])
    columns = ("found", *(f"by {net}" for net in NETS), "right content", "right label")
    note = "Found: taken for a known item; of unknown items every one is a false alarm. Shares of content and label are"
    return Table("What is found", columns, rows, f"{note} among those found.")


def _row(part: Sequence[Answer]) -> tuple[Cell, ...]:
    took = np.array([answer.match is not None for answer in part], dtype=np.float64)
    groups = clusters([answer.record for answer in part])
    share = measure(took, np.ones(len(part), dtype=np.int64), groups, {"recall": recall})["recall"]
    pairs = [(answer.record, answer.match) for answer in part if answer.match is not None]
    nets = (sum(match.by == net for _, match in pairs) / len(part) for net in NETS)
    content = [bool(record.item) and match.name.endswith(record.item) for record, match in pairs]
    label = [record.label is match.label for record, match in pairs]
    return (share.to_json(), *nets, *(float(np.mean(each)) if each else None for each in (content, label)))


def answers(judged: Mapping[str, Evaluation]) -> Table:
    """As a detector: AUC by level."""
    levels = sorted(next(iter(judged.values())).findings["by_level"])
    rows = {
        name: (each.findings["auc"], *(each.findings["by_level"][level]["auc"] for level in levels))
        for name, each in judged.items()
    }
    table = Table("As a detector: AUC", ("all levels", *(f"level {level}" for level in levels)), rows)
    return against(table, {"": [CHANCE] * len(table.columns)}, table.columns)
