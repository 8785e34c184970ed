"""Hand-made features: each family alone and all together, and the mean spectra of real and generated pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.calibration import fit
from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, read_folder
from detectors.evaluation.answering import View, variants
from detectors.evaluation.evaluation import Evaluation, Task, evaluate, items
from detectors.evaluation.metrics import Floats
from detectors.evaluation.report import plots
from detectors.heads.fitting import fit_head
from detectors.preprocess import prepare
from detectors.spectral.frequency import block_spectrum, radial_profile
from detectors.spectral.network import FEATURES, Spectral
from detectors.studies.controls import CHANCE, against
from detectors.studies.report import Cell, Claim, Picture, StudyReport, StudySettings, Table
from detectors.torch_detector import TorchDetector
from detectors.training.fitting import features, served, shown_items
from detectors.training.loop import Training, held_out, select
from detectors.training.recipes import recipe
from detectors.training.validation_set import Examples, examples
from subnet.types import Label, Modality

NAME, ALL, REAL = "spectral", "all", "real"
QUICK = 30  # test items of each class; without --quick all
SPECTRA = 40  # test items of each origin behind a mean spectrum
VALIDATION = 160  # variants that calibrations are fitted on

CLAIMS = (
    Claim(
        "ForenSynths, mean accuracy: radial spectrum 67.7 %, DCT 78.9 %, F3-Net 80.4 %",
        "the 8 GANs of ForenSynths (19 GB) are not at hand here",
        "assay train spectral --data ForenSynths/train && "
        "assay evaluate runs/train-spectral/spectral.safetensors --data ForenSynths/test",
    ),
    Claim(
        "2-D DFT and a support vector machine: F1 0.9994 on StyleGAN against FFHQ",
        "neither FFHQ nor StyleGAN's pictures are at hand here, and the two differ in format as well",
        "assay study spectral --data FOLDER  # train/, validation/ and test/ with real/ and fake/ each",
    ),
)


def study(settings: StudySettings) -> StudyReport:
    """Fit a head on every family and on all of them, and measure each on the test set."""
    task = Task("test", settings.test, limit=QUICK if settings.quick else None, seed=settings.seed)
    records = items(task, Modality.IMAGE, settings.tell)
    networks = _fitted(settings)
    total = len(records) * len(task.views)
    measured = dict(
        zip(
            networks,
            evaluate(
                list(networks.values()), task, records, progress=lambda done: settings.stage("evaluate", done, total)
            ),
            strict=True,
        )
    )
    radial, blocks = _spectra(settings, records)
    aucs = {name: each.findings["auc"] for name, each in measured.items()}
    return StudyReport(
        name=NAME,
        summary="Hand-made features by families, each alone and all together under an elastic net.",
        tables={
            "ablation": ablation(measured),
            "generators": by_generator(measured, settings.left_out),
            "families": families(),
        },
        pictures={
            "ablation": Picture(plots.bars(aucs), "AUC of each family alone and of all, over all augmentation levels."),
            "radial": Picture(
                plots.profiles(radial, REAL, "frequency, as a share of half the sampling rate", "log power"),
                "Mean radial spectrum at level 0, real pictures and each generator's, with standard errors.",
            ),
            "spectra": Picture(
                plots.heats(blocks, "log power less that of real"),
                "Averaged 2-D spectrum of each generator less that of real pictures, frequency 0 in the middle: "
                "dots and crosses at halves of the band are traces of up-sampling.",
            ),
        },
        claims=CLAIMS,
        facts={"test items": len(records), "features": sum(row.size for row in FEATURES.values())}
        | {"seed": settings.seed, "generators left out of training": ", ".join(settings.left_out) or "nothing"},
    )


def _fitted(settings: StudySettings) -> dict[str, TorchDetector]:
    """A calibrated detector for each family and for all, out of features that are computed once."""
    chosen = recipe(NAME)
    course = Training(
        NAME, settings.train, settings.out, exclude=settings.left_out, seed=settings.seed, device=settings.device
    )
    whole = served(chosen, Spectral(), settings.device)
    records = select(read_folder(settings.train, settings.tell), chosen, course, settings.tell)
    learnt = shown_items(records, chosen, course)
    judged = examples(
        held_out(replace(course, validation=settings.validation), chosen, settings.tell), VALIDATION, seed=settings.seed
    )
    x, held = (_features(settings, whole, each, what) for each, what in ((learnt, "train"), (judged, "validation")))
    labels, contents = np.array(learnt.labels), clusters(learnt.records)
    found = {}
    for number, (name, columns) in enumerate(_columns().items(), start=1):
        network = Spectral(tuple(FEATURES) if name == ALL else (name,))
        network.head = fit_head(x[:, columns], labels, contents, chosen.head, seed=settings.seed)
        with torch.inference_mode():
            logits = network.head(torch.from_numpy(held[:, columns]).float()).tolist()
        detector = served(chosen, network, settings.device)
        detector.name, detector.calibration = name, fit(logits, judged.labels)
        found[name] = detector
        settings.stage("fit", number, len(FEATURES) + 1)
    return found


def _features(settings: StudySettings, whole: TorchDetector, shown: Examples, what: str) -> NDArray[np.float64]:
    count = len(shown.media)
    return features(whole, shown, lambda done: settings.stage(f"features of {what}", done, count))[0]


def _columns() -> dict[str, slice]:
    """Where each family's features stand among all, and all."""
    ends = np.cumsum([row.size for row in FEATURES.values()]).tolist()
    starts = [0, *ends[:-1]]
    return {name: slice(*place) for name, place in zip(FEATURES, zip(starts, ends, strict=True), strict=True)} | {
        ALL: slice(0, ends[-1])
    }


def ablation(measured: Mapping[str, Evaluation]) -> Table:
    """Each family alone and all: numbers of each, quality over all levels, and AUC by level."""
    levels = sorted(next(iter(measured.values())).findings["by_level"])
    rows: dict[str, Sequence[Cell]] = {}
    for name, each in measured.items():
        by_level = each.findings["by_level"]
        size = FEATURES[name].size if name in FEATURES else sum(row.size for row in FEATURES.values())
        rows[name] = (
            size,
            each.findings["auc"],
            each.findings["balanced_accuracy"],
            *(by_level[level]["auc"] for level in levels),
        )
    columns = ("features", "AUC", "balanced accuracy", *(f"AUC, level {level}" for level in levels))
    note = "95 % bootstrap intervals over photographs."
    table = Table("Each family alone, and all together", columns, rows, note)
    return against(table, {"": (0, *[CHANCE] * (len(columns) - 1))}, ("AUC", "balanced accuracy"))


def by_generator(measured: Mapping[str, Evaluation], left_out: Sequence[str] = ()) -> Table:
    """AUC of each family against real pictures, generator by generator."""
    names = list(next(iter(measured.values())).findings["by_generator"])
    columns = tuple(f"{name} (never trained on)" if name in left_out else name for name in names)
    rows = {
        name: tuple(each.findings["by_generator"][generator]["auc"] for generator in names)
        for name, each in measured.items()
    }
    return Table("AUC by generator", columns, rows)


def families() -> Table:
    """What there is."""
    rows = {name: (row.size, row.source) for name, row in FEATURES.items()}
    return Table("Families of features", ("features", "source"), rows)


def _spectra(settings: StudySettings, records: Sequence[DatasetItem]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """By origin the radial profiles (items, rings), and the mean block spectrum less that of real pictures."""
    groups: dict[str, list[DatasetItem]] = {REAL: []}
    for record in records:
        groups.setdefault(REAL if record.label is Label.REAL else record.origin, []).append(record)
    radial, blocks = {}, {}
    for name, members in groups.items():
        media = [variants(record, [View(0)], settings.test, settings.seed)[0] for record in members[:SPECTRA]]
        x = torch.cat([prepare(each.frames, recipe(NAME).family.preprocess) for each in media])
        radial[name] = radial_profile(x).double().numpy()
        blocks[name] = block_spectrum(x).mean(dim=0).double().numpy()
    return radial, {name: each - blocks[REAL] for name, each in blocks.items() if name != REAL}
