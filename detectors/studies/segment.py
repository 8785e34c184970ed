"""The study of masks: which pixels are synthetic, in whole pictures and in composites with known masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from detectors import TABLE
from detectors.checkpoints import HERE
from detectors.dataset.contents import clusters
from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem, both_classes, read_folder
from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import Floats, Ints
from detectors.evaluation.report.plots import COLOURS, DPI, png
from detectors.explain.picture import overlay
from detectors.loading import network_detector
from detectors.pixels.composites import KINDS, Mask, compose, follow
from detectors.segment.network import Segment
from detectors.segment.overlap import f1, iou
from detectors.studies.controls import CHANCE, against
from detectors.studies.report import Cell, Claim, Picture, StudyReport, StudySettings, Table
from detectors.torch_detector import TorchDetector
from detectors.training.loop import Progress, Training, train
from subnet.errors import DataError
from subnet.game.sampling import derive
from subnet.game.variant import variant_frames
from subnet.media.leak.roc import auc, ratio
from subnet.types import Frames, Label, Media, Modality

STEPS, QUICK_STEPS = 600, 60
PHOTOGRAPHS, QUICK_PHOTOGRAPHS = 60, 16  # each is shown whole, with its twin, and in three composites
LEVELS = (0, 2)
WHOLE = ("photograph", "synthetic")
SHIPPED, TRAINED = "weights that ship", "trained by this run"


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture as a miner would see it, what is synthetic in it, and the number of the photograph behind it."""

    kind: str
    level: int
    frames: Frames
    truth: Mask
    photograph: int


@dataclass(frozen=True, eq=False)
class Answer:
    """P(synthetic) of the picture, and of every pixel (H, W)."""

    p_synthetic: float
    places: Floats


def study(settings: StudySettings) -> StudyReport:
    """Train, and measure masks and answers. Raises DataError where no fake of the test folder has its photograph."""
    shown = pictures(settings)
    weights = trained(settings)
    row = TABLE["segment"]
    subjects = {TRAINED: network_detector(row, device=settings.device, weights=weights)}
    if (HERE / row.weights).is_file():
        subjects = {SHIPPED: network_detector(row, device=settings.device), **subjects}
    tables: dict[str, Table] = {}
    told: dict[str, list[Answer]] = {}
    for name, detector in subjects.items():
        told[name] = answers(detector, shown, partial(settings.stage, f"masks: {name}"))
        for level in LEVELS:
            tables[f"{name.split()[0]}-level-{level}"] = by_kind(name, level, shown, told[name])
    tables["detectors"] = at_all_levels(settings, subjects)
    first = next(iter(subjects))
    drawn = {"masks": masks(shown, told[first], first)}
    facts: dict[str, Cell] = {"seed": settings.seed, "steps": _steps(settings), "pictures": len(shown)}
    summary = "A mask of synthetic pixels beside the answer on the whole picture, on composites whose masks are known."
    return StudyReport("segment", summary, tables, drawn, CLAIMS, facts)


def _steps(settings: StudySettings) -> int:
    return settings.steps or (QUICK_STEPS if settings.quick else STEPS)


def trained(settings: StudySettings) -> Path:
    """The weights of this study's own run."""
    steps = _steps(settings)
    out = settings.out / "weights" / "segment.safetensors"
    wanted = Training(
        "segment",
        settings.train,
        out,
        validation=settings.validation,
        seed=settings.seed,
        steps=steps,
        device=settings.device,
        evaluate_every=max(1, steps // 5),
        validation_items=40 if settings.quick else 120,
    )

    def report(progress: Progress) -> None:
        settings.stage("train", progress.step, steps)

    return train(wanted, report, settings.tell).weights


def pictures(settings: StudySettings) -> list[Shown]:
    """Photographs of the test folder whole, their twins, and composites of every kind, at LEVELS. Raises DataError."""
    records = read_folder(settings.test)
    both_classes(records, str(settings.test))
    pairs = twins(records)[: QUICK_PHOTOGRAPHS if settings.quick else PHOTOGRAPHS]
    if len(pairs) < 2:
        raise DataError(
            f"data: {settings.test} holds {len(pairs)} fakes whose photograph is known by its pair; masks are measured "
            "on composites of the two, so give an index.jsonl with the field pair"
        )
    numbers = clusters([real for real, _ in pairs])
    loaded = [tuple(_frames(record, settings) for record in pair) for pair in pairs]
    shown: list[Shown] = []
    for number, (real, twin) in enumerate(loaded):
        other = loaded[(number + 1) % len(loaded)][1]
        rng = np.random.default_rng([settings.seed, 6, number])
        empty = np.zeros(real.shape[1:3], dtype=bool)
        made = dict(zip(WHOLE, ((real, empty), (twin, ~empty)), strict=True))
        made |= {kind: compose(real, twin, other, kind, rng) for kind in KINDS}
        shown += [
            _seen(kind, level, frames, where, int(numbers[number]), settings.seed)
            for kind, (frames, where) in made.items()
            for level in LEVELS
        ]
        settings.stage("composites", number + 1, len(loaded))
    return shown


def twins(records: Sequence[DatasetItem]) -> list[tuple[DatasetItem, DatasetItem]]:
    """Photographs with one twin each, origins in turn."""
    images = [record for record in records if record.modality is Modality.IMAGE and record.pair]
    reals = {record.pair: record for record in images if record.label is Label.REAL}
    fakes: dict[str, list[DatasetItem]] = {}
    for record in images:
        if record.label is Label.SYNTHETIC and record.pair in reals:
            fakes.setdefault(record.pair, []).append(record)
    return [(reals[pair], group[number % len(group)]) for number, (pair, group) in enumerate(fakes.items())]


def _frames(record: DatasetItem, settings: StudySettings) -> Frames:
    return challenge_media(record, key_of(record, settings.test), settings.seed).frames


def _seen(kind: str, level: int, frames: Frames, where: Mask, photograph: int, seed: int) -> Shown:
    """As a miner would see it; all pictures of one photograph at one level are moved and turned alike."""

    def show(media: Media) -> Media:
        return variant_frames(media, level, np.random.default_rng(derive(seed, photograph, level)))

    return Shown(kind, level, show(Media(frames)).frames, follow(where, show), photograph)


@torch.inference_mode()
def answers(detector: TorchDetector, shown: Sequence[Shown], stage: Callable[[int, int], None]) -> list[Answer]:
    """What the network says of every picture."""
    network = detector.network
    assert isinstance(network, Segment)
    found = []
    for number, each in enumerate(shown, 1):
        logit, places = network.both(detector.views(Media(each.frames)))
        pixels = torch.sigmoid(places[0, 0].double()).cpu().numpy()
        found.append(Answer(detector.calibration.probability(float(logit)), pixels))
        stage(number, len(shown))
    return found


def mean(values: Floats, y: Ints, w_RN: Floats) -> Floats:
    """The weighted mean of values (N,)."""
    return ratio(w_RN @ values, w_RN.sum(axis=1))


COLUMNS = ("F1 of pixels", "IoU of pixels", "share called synthetic", "AUC against photographs")


def by_kind(name: str, level: int, shown: Sequence[Shown], told: Sequence[Answer]) -> Table:
    """Masks and answers for each kind of picture at one level."""
    at = [i for i, each in enumerate(shown) if each.level == level]
    rows: dict[str, list[Cell]] = {}
    controls: dict[str, list[Cell]] = {}
    for kind in (*WHOLE, *KINDS):
        chosen = [i for i in at if shown[i].kind == kind and (kind == WHOLE[0] or shown[i].truth.any())]
        called = np.stack([told[i].places > 0.5 for i in chosen])
        truth = np.stack([shown[i].truth for i in chosen])
        cluster = np.array([shown[i].photograph for i in chosen])
        values = [] if kind == WHOLE[0] else [f1(called, truth), iou(called, truth)]
        cells: list[Cell] = [_mean(value, cluster) for value in (*values, called.mean(axis=(1, 2)))]
        opposite = [i for i in at if shown[i].kind in (WHOLE[0], kind)]
        if kind != WHOLE[0]:
            everything = np.ones_like(truth)
            whole = [_mean(value, cluster) for value in (f1(everything, truth), iou(everything, truth))]
            controls[kind] = [*whole, 1.0, CHANCE]
        rows[kind] = [None, None, *cells, None] if kind == WHOLE[0] else [*cells, _auc(opposite, shown, told)]
    note = (
        "Mean over pictures, 95 % intervals over photographs. A photograph has no synthetic pixel: there the share is "
        "that of pixels called so by mistake. In copy-moved ones the pasted region counts, though its pixels are real."
    )
    table = Table(f"{name[0].upper()}{name[1:]}: augmentation level {level}", COLUMNS, rows, note)
    return against(table, controls, ("F1 of pixels", "AUC against photographs"))


def _mean(values: Floats, cluster: Ints) -> Cell:
    found = measure(values, np.ones(len(values), dtype=np.int64), cluster, {"mean": mean})
    return found["mean"].to_json()


def _auc(at: Sequence[int], shown: Sequence[Shown], told: Sequence[Answer]) -> Cell:
    y = np.array([int(shown[i].kind != WHOLE[0]) for i in at])
    p = np.array([told[i].p_synthetic for i in at])
    return measure(p, y, np.array([shown[i].photograph for i in at]), {"auc": auc})["auc"].to_json()


def at_all_levels(settings: StudySettings, subjects: Mapping[str, TorchDetector]) -> Table:
    """The pictures' answers, as `assay evaluate` measures them on the test folder."""
    levels = LEVELS if settings.quick else (0, 1, 2, 3)
    task = Task(str(settings.test), settings.test, levels, 60 if settings.quick else 200, settings.seed)
    records = items(task, Modality.IMAGE)
    total = len(records) * len(levels)
    stage = partial(settings.stage, "levels")
    done = evaluate(list(subjects.values()), task, records, progress=lambda count: stage(count, total))
    names = {"auc": "AUC", "balanced_accuracy": "accuracy", "mcc": "MCC", "ece": "ECE"}
    rows: dict[str, list[Cell]] = {
        f"{text}, all levels": [{key: each.findings[name][key] for key in ("value", "low", "high")} for each in done]
        for name, text in names.items()
    }
    for level in map(str, levels):
        rows[f"AUC, level {level}"] = [each.findings["by_level"][level]["auc"] for each in done]
    return Table("As detectors of whole pictures", tuple(subjects), rows)


def masks(shown: Sequence[Shown], told: Sequence[Answer], name: str) -> Picture:
    """One photograph in all its kinds: what was shown, and the mask over it, the truth outlined."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    at = _example(shown, told)
    figure = Figure(figsize=(2.1 * len(at), 4.6), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(at), squeeze=False)
    for column, i in enumerate(at):
        picture, above, below = shown[i].frames[0], grid[0][column], grid[1][column]
        above.imshow(picture)
        above.set_title(shown[i].kind, fontsize=9, loc="left")
        below.imshow(overlay(picture, told[i].places.astype(np.float32)))
        if shown[i].truth.any() and not shown[i].truth.all():
            for axes in (above, below):
                axes.contour(shown[i].truth, levels=[0.5], colors=COLOURS[5], linewidths=1.4)
        share = float((told[i].places > 0.5).mean())
        below.set_title(f"P = {told[i].p_synthetic:.2f}, {share:.0%} of pixels", fontsize=9, loc="left")
        above.axis("off")
        below.axis("off")
    caption = (
        f"Masks of {name} at level 0: the warmer, the likelier synthetic; outlined is what was pasted. P is the answer "
        "on the whole picture. Of all test photographs this one has the middle F1 over its in-painted form."
    )
    return Picture(png(figure), caption)


def _example(shown: Sequence[Shown], told: Sequence[Answer]) -> list[int]:
    """All kinds of the photograph with the middle F1 of its in-painted form at level 0, in order."""
    pasted = [i for i, each in enumerate(shown) if (each.kind, each.level) == (KINDS[0], 0)]
    ranked = sorted(pasted, key=lambda i: float(f1(told[i].places > 0.5, shown[i].truth)))
    middle = ranked[len(ranked) // 2]
    first = middle - len(LEVELS) * len(WHOLE)  # where the kinds of this photograph begin
    return [first + len(LEVELS) * number for number in range(len(WHOLE) + len(KINDS))]


CLAIMS = (
    Claim(
        "masks of in-painting by large diffusion models, as in SID-Set and OpenSDID",
        "the data are not at hand, and masks on disk are not read: composites are made from pairs, so the folder's "
        "index.jsonl has to name each original and its in-painted version as one `pair`",
        "assay train segment --data PAIRS --size published --steps 50000 --device cuda",
    ),
)
