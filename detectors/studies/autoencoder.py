"""The study of an autoencoder with a regularised head on its latent, `assay study autoencoder`.

Two stages: reconstruction, then a classifier that starts from the encoder. Beside the study's softmax: a sigmoid, an
encoder that learnt to denoise, and elastic-net logistic regression on pooled latent and reconstruction error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from detectors.autoencoder.losses import L1, L2, NOISE, fidelity
from detectors.dataset.contents import clusters
from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem
from detectors.evaluation.evaluation import Evaluation, Task, evaluate, items
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import Floats, Ints, accuracy, mcc, precision, recall
from detectors.evaluation.summary import Answers
from detectors.explain.maps import pixels
from detectors.studies.controls import CHANCE, against, always_synthetic
from detectors.studies.courses import Course, run_course, smooth
from detectors.studies.drawing import Panel, curves, sheet
from detectors.studies.report import Cell, Claim, Picture, StudyReport, StudySettings, Table, without
from detectors.training.recipes import recipe
from subnet.media.leak.roc import auc
from subnet.types import Label, Modality

QUICK_STEPS = {"autoencoder-reconstruction": 40, "autoencoder-denoising": 40}
QUICK_STAGE_2 = 16
METRICS = {"accuracy": accuracy, "precision": precision, "recall": recall, "MCC": mcc, "AUC": auc}
SAMPLES, PICTURES = 16, 6
QUICK_ITEMS = 60


@dataclass(frozen=True)
class Variant:
    """One way to judge: `family` is trained on top of the first stage `first`."""

    name: str
    family: str
    first: str


RECONSTRUCTION, DENOISING, SOFTMAX = "autoencoder-reconstruction", "autoencoder-denoising", "autoencoder-softmax"
VARIANTS = (
    Variant("softmax", SOFTMAX, RECONSTRUCTION),
    Variant("sigmoid", "autoencoder-sigmoid", RECONSTRUCTION),
    Variant("denoising, softmax", SOFTMAX, DENOISING),
    Variant("elastic net", "autoencoder", RECONSTRUCTION),
    Variant("denoising, elastic net", "autoencoder", DENOISING),
)

# The set of the same kind that anybody can have: faces, balanced, 50,000 of each class to train on.
FACES, IMAGES, SHARE = "140k-real-and-fake-faces", 100_000, 0.3
DATA = f"--data {FACES}:{FACES}"


def epochs(count: int, name: str, share: float = 1.0) -> int:
    """Steps of the training loop in which `share` of the IMAGES is shown `count` times."""
    return round(count * share * IMAGES / (2 * recipe(name).plan.pairs))


def _staged(first: str, out: str) -> str:
    """Both stages one after the other, and the test set, as commands."""
    init = f"runs/{out}/{first}.safetensors"
    return (
        f"assay train {first} {DATA} --steps {epochs(10, first)} --patience 1000 --device cuda --out runs/{out} && "
        f"assay train {SOFTMAX} {DATA} --steps {epochs(20, SOFTMAX, SHARE)} --patience 1000 --init {init} "
        f"--device cuda --out runs/{out}-softmax && "
        f"assay evaluate runs/{out}-softmax/{SOFTMAX}.safetensors {DATA} --device cuda"
    )


_REASON = "needs many faces and a GPU; here small nets learn from 300 embedded photographs and small generators"
CLAIMS = (
    Claim(
        "accuracy, precision and recall of the softmax head on faces: stage 1 for 10 epochs, stage 2 for 20 on 30 % of "
        "the images",
        f"{_REASON}; every image is shown as often, in batches of the loop's own size in place of 64 and 128, and the "
        "split is the set's own in place of 70/15/15 and 80/10/10",
        _staged(RECONSTRUCTION, "reconstruction"),
    ),
    Claim(
        f"the same started from an autoencoder that learnt to denoise, noise of deviation {NOISE}",
        _REASON,
        _staged(DENOISING, "denoising"),
    ),
    Claim(
        "all tables of the study on those faces, among them the sigmoid head, which did worse there",
        _REASON,
        f"assay study autoencoder {DATA} --steps {epochs(10, RECONSTRUCTION)} --device cuda --out runs/faces",
    ),
)


def study(settings: StudySettings) -> StudyReport:
    """Train every stage and variant, measure them on the test set, and tell it. Raises DataError for unusable data."""
    task = Task(
        "the test set", settings.test, (0, 2) if settings.quick else (0, 1, 2, 3), _limit(settings), settings.seed
    )
    records = items(task, Modality.IMAGE, settings.tell)
    first = {name: _course(settings, name, name) for name in (RECONSTRUCTION, DENOISING)}
    second = {
        each.name: _course(settings, each.name, each.family, first[each.first].result.weights) for each in VARIANTS
    }
    views = len(records) * len(task.levels)
    found = evaluate(
        [each.detector for each in second.values()],
        task,
        records,
        progress=lambda done: settings.stage("evaluation", done, views),
    )
    best = max(second, key=lambda name: second[name].result.auc)
    by_name = dict(zip(second, found, strict=True))
    shown = _shown(settings, records)
    return StudyReport(
        "autoencoder",
        "An autoencoder of pictures, then a classifier on its latent: two stages, five heads.",
        {
            "variants": _variants(second, by_name),
            "levels": _levels(by_name),
            "generators": _generators(by_name, without(settings)),
            "reconstruction": _reconstruction(settings, first, records),
            "samples": _samples(by_name[best], best, task),
        },
        {
            "stage-1": Picture(_stage_1(first), "Stage 1: squared error of each batch, and fidelity on validation."),
            "stage-2": Picture(_stage_2(second), "Stage 2: loss with its penalty, accuracy on batches, validation."),
            "reconstructions": Picture(
                sheet(_rebuilt(first, shown), [record.origin for record in shown]),
                "Pictures of the test set, and what each autoencoder makes of them.",
            ),
        },
        CLAIMS,
        {"best by validation AUC": best, "items": len(records), "seed": settings.seed, "quick": str(settings.quick)},
    )


def _limit(settings: StudySettings) -> int | None:
    return QUICK_ITEMS if settings.quick else None


def _course(settings: StudySettings, what: str, name: str, init: object = None) -> Course:
    quick = QUICK_STEPS.get(name, QUICK_STAGE_2) if settings.quick else None
    steps = settings.steps or quick
    every = max(1, steps // 4) if steps else 50
    changes = {"steps": steps, "init": init, "evaluate_every": every, "exclude": settings.left_out}
    return run_course(settings, what.replace(",", ""), name, **changes, validation_items=40 if settings.quick else 160)


def _measured(evaluation: Evaluation) -> list[Cell]:
    return _metrics(evaluation.answers)


def _metrics(given: Answers) -> list[Cell]:
    return [cell.to_json() for cell in measure(given.p, given.y, given.cluster, METRICS).values()]


def _variants(trained: Mapping[str, Course], found: Mapping[str, Evaluation]) -> Table:
    note = (
        f"Classifiers: L1 {L1} and L2 {L2} on the weights of the dense layer. Chosen by validation AUC; brackets hold"
        " 95 % bootstrap intervals over contents."
    )
    rows = {name: [*_measured(each), trained[name].result.auc] for name, each in found.items()}
    given = always_synthetic(next(iter(found.values())).answers)
    control = [*_metrics(given), CHANCE]
    table = Table("Every head, all levels together", (*METRICS, "validation AUC"), rows, note)
    return against(table, {"": control}, ("accuracy", "AUC"))


def _levels(found: Mapping[str, Evaluation]) -> Table:
    levels = next(iter(found.values())).findings["by_level"]
    rows = {name: [each.findings["by_level"][level]["auc"] for level in levels] for name, each in found.items()}
    return Table("AUC by level of augmentation", tuple(f"level {level}" for level in levels), rows)


def _generators(found: Mapping[str, Evaluation], note: str) -> Table:
    names = tuple(next(iter(found.values())).findings["by_generator"])
    rows = {name: [each.findings["by_generator"][made]["auc"] for made in names] for name, each in found.items()}
    return Table("AUC by generator", names, rows, note)


def _mean(values: Floats, y: Ints, w_RN: Floats) -> Floats:
    means: Floats = w_RN @ values / w_RN.sum(axis=1)
    return means


def _reconstruction(settings: StudySettings, first: Mapping[str, Course], records: Sequence[DatasetItem]) -> Table:
    labels, groups = np.array([int(record.label) for record in records]), clusters(records)
    media = [challenge_media(record, key_of(record, settings.test), settings.seed) for record in records]
    rows: dict[str, list[Cell]] = {}
    for name, course in first.items():
        detector = course.detector
        decibels = (
            torch.cat([fidelity(detector.network, detector.views(each)) for each in media]).double().cpu().numpy()
        )
        cells: list[Cell] = []
        for label in Label:
            kept = labels == int(label)
            cells.append(measure(decibels[kept], labels[kept], groups[kept], {"PSNR": _mean})["PSNR"].to_json())
        rows[name] = [*cells, measure(decibels, labels, groups, {"AUC": auc})["AUC"].to_json()]
    note = "Unaugmented pictures. AUC: of fidelity alone as the answer, higher meaning synthetic."
    return Table("Fidelity of the reconstruction (PSNR, dB)", ("real", "synthetic", "AUC"), rows, note)


def _samples(evaluation: Evaluation, best: str, task: Task) -> Table:
    times = len(task.levels)
    p = evaluation.answers.p.reshape(-1, times)[:, 0]
    places = np.linspace(0, len(p) - 1, min(SAMPLES, len(p))).round().astype(int)
    rows: dict[str, Sequence[Cell]] = {
        key_of(evaluation.records[place], task.root): (
            float(p[place]),
            float(1 - p[place]),
            evaluation.records[place].label.name.lower(),
        )
        for place in places.tolist()
    }
    return Table(f"Samples of the test set, judged by {best}", ("fake", "real", "truth"), rows)


def _stage_1(first: Mapping[str, Course]) -> bytes:
    loss = {name: smooth(each.losses["loss"]) for name, each in first.items()}
    fidelities = {name: each.history for name, each in first.items()}
    return curves(
        [
            Panel("loss", "step", "squared error", loss, logarithmic=True),
            Panel("validation", "step", "PSNR (dB)", fidelities),
        ]
    )


def _stage_2(second: Mapping[str, Course]) -> bytes:
    trained = {name: each for name, each in second.items() if "accuracy" in each.losses}
    panels = [
        Panel(title, "step", unit, {name: smooth(each.losses[kind]) for name, each in trained.items()}, logarithmic=log)
        for title, unit, kind, log in (
            ("loss with penalty", "loss", "loss", True),
            ("accuracy", "share right", "accuracy", False),
        )
    ]
    history = {name: each.history for name, each in trained.items()}
    return curves([*panels, Panel("validation", "step", "AUC", history)], columns=3)


def _shown(settings: StudySettings, records: Sequence[DatasetItem]) -> list[DatasetItem]:
    """Reals and their twins in turn."""
    reals = [record for record in records if record.label is Label.REAL][: PICTURES // 2]
    fakes = [next((r for r in records if r.label is Label.SYNTHETIC and r.pair == real.pair), None) for real in reals]
    return [record for record in chain(*zip(reals, fakes, strict=True)) if record is not None]


def _rebuilt(first: Mapping[str, Course], shown: Sequence[DatasetItem]) -> dict[str, list[np.ndarray]]:
    """The pictures themselves and what each network makes of them, by row."""
    rows: dict[str, list[np.ndarray]] = {"input": []}
    for record in shown:
        media = challenge_media(record, record.path.name, 0)
        for number, (name, course) in enumerate(first.items()):
            detector = course.detector
            views = detector.views(media)
            with torch.inference_mode():
                rebuilt = detector.network.rebuild(views)  # type: ignore[operator]
            if number == 0:
                rows["input"].append(pixels(detector, views)[0])
            rows.setdefault(name.removeprefix("autoencoder-"), []).append(pixels(detector, rebuilt)[0])
    return rows
