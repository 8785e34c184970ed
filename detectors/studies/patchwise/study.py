"""The study of patches: how small may a piece of a picture be, and how are the verdicts on pieces joined?

One training run for every size of patch. Neither the content nor the generator that are left out of it are trained on,
so that the same run answers for other content and another generator, too; a quick run starts from the weights that
ship, and leaves no content out. An epoch is the stretch between two evaluations of the run; what is measured after
each of them is measured on the weights that the run kept then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.dataset.items import read_folder
from detectors.evaluation.metrics import Floats
from detectors.patchwise import votes
from detectors.studies.patchwise import pictures, tables
from detectors.studies.patchwise.runs import Judged, Run, divide, items_of_test, run
from detectors.studies.patchwise.tables import RULES, balanced, right
from detectors.studies.report import Cell, Claim, StudyReport, StudySettings
from subnet.types import Label, Media

PATCHES = (128, 64, 32, 16)  # sides in pixels

CLAIMS = (
    Claim(
        "accuracies on FFHQ and CelebA faces and LSUN churches, StyleGAN2 and ProGAN, 25,000 + 2,000 images a class, "
        "50 epochs of the published Xception",
        "the data are not at hand, and the full size needs a GPU",
        "for p in 128 64 32 16; do assay train patchwise --data patchwise:patchwise --size published --network patch=$p"
        " --crop 256 --steps 104000 --device cuda --out runs/patch-$p; done",
    ),
    Claim(
        "all tables of the study on those data, among them trained on faces and tested on churches (other-content/), "
        "trained on StyleGAN2 and tested on ProGAN (other-generator/)",
        "the data are not at hand; here, without --quick, a category of the photographs and a generator that ships are "
        "left out in their place",
        "assay study patchwise --data patchwise:patchwise --steps 104000 --device cuda",
    ),
    Claim(
        "the same transfer for the detector of one size, at every level of augmentation",
        "the data are not at hand",
        "assay evaluate runs/patch-64/patchwise.safetensors --data patchwise/other-content && "
        "assay evaluate runs/patch-64/patchwise.safetensors --data patchwise/other-generator",
    ),
)


def study(settings: StudySettings, patches: Sequence[int] = PATCHES) -> StudyReport:
    """Train on patches of every size, and measure all rules on the same test items. Raises DataError for data of one
    class or without images."""
    division = divide(read_folder(settings.train), left_out=settings.left_out, quick=settings.quick)
    judged = items_of_test(settings, division)
    others = {name: items_of_test(settings, division, folder) for name, folder in settings.others.items()}
    runs = [run(settings, division, judged, patch, others) for patch in patches]
    found = {
        "single": tables.single(runs, judged, quick=settings.quick),
        "majority": tables.joined(runs, judged, quick=settings.quick),
        "random": tables.at_random(runs, judged),
        "reliable": tables.reliable(runs, judged),
        "share": tables.by_share(runs, judged),
        "transfer": tables.transfer(runs, judged, division, others),
        "aggregation": tables.aggregation(settings, division, runs),
        "levels": tables.at_all_levels(settings, runs),
    }
    facts: dict[str, Cell] = {
        "seed": settings.seed,
        "steps": runs[0].result.steps,
        "epochs": len(runs[0].epochs),
        "test items": len(judged.y),
        "content left out": division.content or "none",
        "generator left out": division.generator or "none",
        "started from": "the weights that ship (64 px, all content)" if settings.quick else "nothing",
    }
    drawn = {"threshold": pictures.thresholds(curves(runs, judged)), "epochs": pictures.epochs(courses(runs, judged))}
    drawn |= {"verdicts": pictures.verdicts(*example(runs, judged))}
    summary = "Xception on patches of 128, 64, 32 and 16 pixels, and the rules that join their verdicts."
    return StudyReport("patchwise", summary, found, drawn, CLAIMS, facts)


def curves(runs: Sequence[Run], judged: Judged) -> dict[str, pictures.Curve]:
    """For each size the accuracy of the majority, and the share of patches kept, over thresholds of reliability."""
    at = np.linspace(0, 0.98, 50)
    known, y = judged.known, judged.y[judged.known]
    ones, found = np.ones((1, len(y))), {}
    for each in runs:
        kept = [votes.above(each.best, threshold) for threshold in at]
        hits = [right(votes.majority(each.best, flags), judged)[known] for flags in kept]
        values = [float(balanced(hit, y, ones)[0]) for hit in hits]
        shares = [float((votes.reliability(each.best) > threshold)[known].mean()) for threshold in at]
        found[f"{each.patch} px"] = pictures.Curve(at.tolist(), values, shares)
    return found


def courses(runs: Sequence[Run], judged: Judged) -> dict[str, list[tuple[int, float, float]]]:
    """For each size (step, accuracy of single patches, of the mean of log-odds) in the order of training."""
    known, y = judged.known, judged.y[judged.known]
    ones, found = np.ones((1, len(y))), {}
    for each in runs:
        ranked = [step for step, _ in sorted(each.result.history, key=lambda row: (-row[1], -row[0]))]
        rows = []
        for step, x in zip(ranked, each.epochs, strict=True):
            verdicts = (x > 0, RULES["mean of log-odds"](x))
            patches, whole = (float(balanced(right(v, judged)[known], y, ones)[0]) for v in verdicts)
            rows.append((step, patches, whole))
        found[f"{each.patch} px"] = sorted(rows)
    return found


def example(runs: Sequence[Run], judged: Judged) -> tuple[list[Media], dict[str, Floats], list[float]]:
    """A photograph and its twin, in the middle of all pairs by how far their mean log-odds lie apart (64 px)."""
    middle = next((each for each in runs if each.patch == 64), runs[0])
    twins = {record.pair: i for i, record in enumerate(judged.records) if record.label is Label.REAL and record.pair}
    pairs = [
        (twins[record.pair], i)
        for i, record in enumerate(judged.records)
        if record.label is Label.SYNTHETIC and record.pair in twins and judged.known[i]
    ] or [(int(np.argmin(judged.y)), int(np.argmax(judged.y)))]
    mean = votes.mean_log_odds(middle.best)
    real, fake = sorted(pairs, key=lambda pair: mean[pair[1]] - mean[pair[0]])[len(pairs) // 2]
    grids = {}
    for each in runs:
        side = round(each.best.shape[1] ** 0.5)
        grids[f"{each.patch} px"] = each.best[[real, fake]].reshape(2, side, side)
    return [judged.media[real], judged.media[fake]], grids, [float(mean[real]), float(mean[fake])]
