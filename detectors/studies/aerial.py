"""Aerial images: a vision transformer, both kinds of error, and class-activation maps that are put to the test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from detectors.dataset.balance import counts, upsampled
from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem, read_folder
from detectors.evaluation.answering import View, show
from detectors.evaluation.evaluation import Evaluation, Task, evaluate, items
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import METRICS
from detectors.evaluation.report import plots
from detectors.evaluation.selection import sources
from detectors.evaluation.summary import Answers
from detectors.explain.maps import Explainable, explainable
from detectors.explain.sheet import Explained, explained, sheet
from detectors.loading import open_detector
from detectors.studies.controls import against, always_synthetic
from detectors.studies.report import Cell, Claim, Picture, StudyReport, StudySettings, Table
from detectors.torch_detector import TorchDetector
from detectors.training.batches import Batches, BatchPlan
from detectors.training.loop import Progress, Training, train
from subnet.game.sampling import derive
from subnet.types import Label, Media, Modality

NAME, TRAINED_HERE, SHIPPED = "vit_cam", "trained in this run", "weights that ship"
QUICK_STEPS = 150
ROC, LEVELS = "ROC over all augmentation levels.", "The weights that ship by augmentation level."
ERRORS = ("accuracy", "type_1_error", "type_2_error", "auc")
COLUMNS = ("items", "contents", "accuracy", "type I error", "type II error", "AUC")
AERIAL = "aerial"
SAY_AERIAL = ("aerial", "satellite", "drone", "uav", "aid")  # words in the name of a source or generator; AID is a set
PAIRS, QUICK_PAIRS = 5, 3  # of the sheet
DRAWS = 400  # pairs that are drawn to compare the loop with the upsampled list
MAP_LEVEL = View(0)

CLAIMS = (
    Claim(
        "accuracy 97 %, type I error 4 %, type II error 2 % on aerial images (DM-AER-DeepFake-V1)",
        "about 120,000 photographs and a million StyleGAN2 images, and ImageNet's ViT-B/16, are not at hand here",
        "assay train vit_cam --size published --device cuda --data dm-aer:DM-AER-DeepFake-V1 "
        "--init vit_base_patch16_224.augreg2_in21k_ft_in1k.safetensors && "
        "assay evaluate runs/train-vit_cam/vit_cam.safetensors --data dm-aer:DM-AER-DeepFake-V1 --device cuda",
    ),
    Claim(
        "the same with AID and Million-AID as the authentic side",
        "the sets are given out by their authors alone, and their synthetic side has to be made by a StyleGAN2 "
        "trained on them",
        "assay dataset check million-aid Million-AID && "
        "assay study aerial --data FOLDER  # train/, validation/ and test/ with real/ and fake/ each",
    ),
)


def study(settings: StudySettings) -> StudyReport:
    """Train `vit_cam`, measure it and the weights that ship on the test set, and explain what they look at."""
    records = [record for record in read_folder(settings.train) if record.modality is Modality.IMAGE]
    task = Task("test", settings.test, seed=settings.seed)
    tested, trained = items(task, Modality.IMAGE, settings.tell), _train(settings)  # a test set to refuse comes first
    detectors = {TRAINED_HERE: _open(f"{NAME}={trained.weights}", settings), SHIPPED: _open(NAME, settings)}
    measured = dict(zip(detectors, _measure(settings, list(detectors.values()), task, tested), strict=True))
    explanations = _explanations(settings, detectors[SHIPPED], measured[SHIPPED].records)
    return StudyReport(
        name="aerial",
        summary="A vision transformer that tells synthetic images from authentic ones, aerial images apart.",
        tables={
            "errors": errors(measured),
            "sources": by_source(measured[SHIPPED]),
            "generators": by_generator(measured[SHIPPED], settings.left_out),
            "levels": by_level(measured[SHIPPED]),
            "balance": balance(records, settings.seed),
            "deletion": deletions(explanations),
        },
        pictures={
            "maps": Picture(
                sheet(explanations),
                "What the weights that ship look at: Grad-CAM on the tokens of the last block, and the deletion test "
                "beside each: a map is faithful where removing what it marks moves the answer more than chance does. "
                f"{faith(explanations)}",
            ),
            "roc": Picture(plots.roc({name: each.answers for name, each in measured.items()}), ROC),
            "levels": Picture(plots.levels(measured[SHIPPED].findings["by_level"]), LEVELS),
        },
        claims=CLAIMS,
        facts={
            "training files": len(records),
            "test items": len(measured[SHIPPED].records),
            "steps": trained.steps,
            "validation AUC": trained.auc,
            "best step": trained.best_step,
            "seed": settings.seed,
            "generators left out of training": ", ".join(settings.left_out) or "nothing",
        },
    )


def _train(settings: StudySettings):  # type: ignore[no-untyped-def]
    def watch(progress: Progress) -> None:
        settings.stage("train", progress.step, progress.steps)

    steps = settings.steps or (QUICK_STEPS if settings.quick else None)
    course = Training(
        NAME,
        settings.train,
        settings.out / f"{NAME}.safetensors",
        validation=settings.validation,
        exclude=settings.left_out,
        steps=steps,
        seed=settings.seed,
        device=settings.device,
    )
    return train(course, watch, settings.tell)


def _open(name: str, settings: StudySettings) -> TorchDetector:
    detector = open_detector(name, device=settings.device)
    if not isinstance(detector, TorchDetector):
        raise TypeError(f"{name} is no network of one piece")
    return detector


def _measure(
    settings: StudySettings, detectors: Sequence[TorchDetector], task: Task, records: Sequence[DatasetItem]
) -> list[Evaluation]:
    total = len(records) * len(task.views)
    return evaluate(detectors, task, records, progress=lambda done: settings.stage("evaluate", done, total))


def is_aerial(name: str) -> bool:
    """Whether the name of a source or a generator says that it shows the ground from above."""
    return not {*re.findall("[a-z]+", name.lower())}.isdisjoint(SAY_AERIAL)


def kinds(given: Answers) -> NDArray[np.str_]:
    """ "aerial", "other" or "" for each answer (N,).

    A synthetic item is of the kind of its real twin; without one it is aerial by the name of its generator, or where
    all real items are; else nothing is known.
    """
    by_source = np.array([AERIAL if is_aerial(name) else "other" if name else "" for name in given.source.tolist()])
    alone = by_source == ""
    reals = set(by_source[given.y == int(Label.REAL)].tolist())
    named = np.array([reals == {AERIAL} or is_aerial(name) for name in given.origin.tolist()])
    return np.where(alone & named, AERIAL, by_source)


def errors(measured: Mapping[str, Evaluation]) -> Table:
    """Accuracy and both errors of each detector: on everything, on what shows the ground from above, and on the rest.

    Parts where the data say what does; what is of no known kind counts in "all" alone.
    """
    rows: dict[str, Sequence[Cell]] = {}
    controls: dict[str, Sequence[Cell]] = {}
    for name, each in measured.items():
        given = each.answers
        kind = kinds(given)
        parts = {"all": given}
        if AERIAL in kind:
            parts |= {part: given.where(kind == part) for part in (AERIAL, "other")}
        rows |= {f"{name}: {part}": cells(chosen) for part, chosen in parts.items() if len(chosen.p)}
        controls = {part: cells(always_synthetic(chosen)) for part, chosen in parts.items() if len(chosen.p)}
    table = Table(
        "Accuracy and errors of both kinds, with 95 % intervals",
        COLUMNS,
        rows,
        "Type I: authentic images called synthetic; type II: synthetic ones called authentic. Every item is shown at "
        "each augmentation level; contents are independent photographs, and stand behind an interval from ten on. "
        f"Aerial is what names of folders or origins say ({', '.join(SAY_AERIAL)}); items of one class alone have no "
        f"accuracy.{_one_ranking(measured)}",
    )
    return against(table, controls, ("accuracy",))


def _one_ranking(measured: Mapping[str, Evaluation]) -> str:
    """That two detectors order all answers alike, where they do: such are one network under two calibrations."""
    ranks = [rankdata(each.answers.p) for each in measured.values()]
    if len(ranks) < 2 or not all(np.array_equal(ranks[0], each) for each in ranks[1:]):
        return ""
    return (
        f" {' and '.join(measured)} are one ranking and not two results: the course is deterministic and gave the same "
        "weights again; only the calibration differs."
    )


def cells(given: Answers) -> tuple[Cell, ...]:
    """Answers as a row below COLUMNS."""
    levels = len(set(given.level.tolist()))
    both = len(set(given.y.tolist())) == len(Label)
    wanted = {name: METRICS[name] for name in ERRORS if both or name not in ("auc", "accuracy")}
    found = {name: each.to_json() for name, each in measure(given.p, given.y, given.cluster, wanted).items()}
    counted = (len(given.p) // levels, len(set(given.cluster.tolist())))
    return (*counted, *(_known(found.get(name)) for name in ERRORS))


def _known(cell: Mapping[str, float | None] | None) -> Cell:
    return None if cell is None or cell["value"] is None or np.isnan(cell["value"]) else cell


def by_source(each: Evaluation) -> Table:
    """Both errors for every source of real images."""
    given = each.answers
    parts = {str(name): given.where(given.source == name) for name in np.unique(given.source) if name}
    return _beside_control(f"By source: {SHIPPED}", parts)


def by_generator(each: Evaluation, left_out: Sequence[str] = ()) -> Table:
    """How much of each generator is found; `left_out` were never trained on."""
    rows = {
        f"{name} (never trained on)" if name in left_out else name: (cell["recall"], cell["auc"])
        for name, cell in each.findings["by_generator"].items()
    }
    return Table(f"By generator: {SHIPPED}", ("found", "AUC"), rows)


def by_level(each: Evaluation) -> Table:
    """The same columns for every augmentation level."""
    given = each.answers
    parts = {f"level {level}": given.where(given.level == level) for level in np.unique(given.level)}
    return _beside_control(f"By augmentation level: {SHIPPED}", parts)


def _beside_control(title: str, parts: Mapping[str, Answers]) -> Table:
    """A row for each part, and one for always answering "synthetic" there."""
    table = Table(title, COLUMNS, {name: cells(part) for name, part in parts.items()})
    return against(table, {name: cells(always_synthetic(part)) for name, part in parts.items()}, ("accuracy",))


def balance(records: Sequence[DatasetItem], seed: int) -> Table:
    """How often each class is shown where one real comes for eight fakes: by a list with copies, and by the loop."""
    uneven = out_of_balance(records)
    many, evened = counts(uneven), counts(upsampled(uneven, np.random.default_rng([seed, 5])))
    drawn = counts(loop_draws(uneven, seed))
    total = sum(evened.values())
    rows = {
        label.name.lower(): (many[label], evened[label], evened[label] / total, drawn[label] / sum(drawn.values()))
        for label in Label
    }
    return Table(
        "The rarer class upsampled after the split",
        ("training items", "after upsampling", "share of the list", "share of the loop's batches"),
        rows,
        "What would happen at one authentic image for eight synthetic ones, as in the original study: authentic ones "
        "are left out of the training list for this table alone, and the run above trains on all of its files. The "
        "list with copies and the loop, which draws pairs of both classes, show both equally often. Validation and "
        "test hold no copies.",
    )


def out_of_balance(records: Sequence[DatasetItem], ratio: int = 8) -> list[DatasetItem]:
    """All fakes of `records`, and at least one real, at most one for `ratio` fakes."""
    fakes = [record for record in records if record.label is Label.SYNTHETIC]
    reals = [record for record in records if record.label is Label.REAL]
    return [*reals[: max(1, len(fakes) // ratio)], *fakes]


def loop_draws(records: Sequence[DatasetItem], seed: int) -> list[DatasetItem]:
    """The items that DRAWS pairs of the training loop are made of, in the order in which their pixels are asked for."""
    drawn: list[DatasetItem] = []
    blank = Media(np.zeros((1, 256, 256, 3), dtype=np.uint8))

    def pixels(record: DatasetItem) -> Media:
        drawn.append(record)
        return blank

    plan = BatchPlan(pairs=1, crop=16, early=(1.0, 0.0, 0.0, 0.0), late=(1.0, 0.0, 0.0, 0.0))
    batches = Batches(records, pixels, plan, steps=DRAWS, seed=seed)
    for step in range(DRAWS):
        batches[step]
    return drawn


def _explanations(settings: StudySettings, detector: TorchDetector, records: Sequence[DatasetItem]) -> list[Explained]:
    """Aerial images first, then others: as many authentic as synthetic ones, origins of the latter in turn."""
    count = QUICK_PAIRS if settings.quick else PAIRS
    subject = explainable(detector)
    chosen = [record for label in Label for record in _to_explain(records, label, count)]
    found = []
    for number, record in enumerate(chosen, start=1):
        found.append(_explained(settings, subject, record))
        settings.stage("explain", number, len(chosen))
    return found


def _to_explain(records: Sequence[DatasetItem], label: Label, count: int) -> list[DatasetItem]:
    """`count` items of a label, each with a content of its own: aerial ones first, then by origins in turn."""
    queues: dict[tuple[bool, str], list[DatasetItem]] = {}
    contents: set[str] = set()
    for record, source in zip(records, sources(records), strict=True):
        content = record.item or str(record.path)
        if record.label is label and content not in contents:
            queues.setdefault((not is_aerial(source or record.origin), record.origin), []).append(record)
            contents.add(content)
    ranked = [(other, place, record) for (other, _), queue in queues.items() for place, record in enumerate(queue)]
    return [record for _, _, record in sorted(ranked, key=lambda entry: entry[:2])[:count]]


def _explained(settings: StudySettings, subject: Explainable, record: DatasetItem) -> Explained:
    key = key_of(record, settings.test)
    media = show(challenge_media(record, key, settings.seed), key, MAP_LEVEL, settings.seed)
    return explained(subject, record, media, np.random.default_rng(derive(settings.seed, key, "deletion")))


def faith(found: Sequence[Explained]) -> str:
    """What the deletion tests of a sheet come to, in sentences below it."""
    told = []
    for name, (count, faithful, gain) in deletions(found).rows.items():
        if isinstance(count, int) and isinstance(faithful, int) and isinstance(gain, float):
            poor = "; there the maps mark no more than chance does" if 2 * faithful < count or gain <= 0 else ""
            told.append(f"On {name} images {faithful} of {count} are faithful, mean gain {gain:+.2f} log-odds{poor}.")
    return " ".join(told)


def deletions(found: Sequence[Explained]) -> Table:
    """How many maps are faithful, and by how much, on authentic and on synthetic images."""
    rows = {}
    for label, name in ((Label.REAL, "authentic"), (Label.SYNTHETIC, "synthetic")):
        games = [each.deletion for each in found if each.record.label is label]
        gain = float(np.mean([game.gain for game in games])) if games else None
        rows[name] = (len(games), sum(game.faithful for game in games), gain)
    return Table("Are the maps faithful?", ("maps", "faithful", "mean gain in log-odds"), rows)
