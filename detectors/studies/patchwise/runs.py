"""Training on patches of one size, and their verdicts on the test items after every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from detectors import TABLE
from detectors.checkpoints import HERE
from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem
from detectors.evaluation.answering import View, variants
from detectors.evaluation.evaluation import Task, items
from detectors.evaluation.metrics import Floats, Ints
from detectors.loading import network_detector
from detectors.patchwise import votes
from detectors.patchwise.network import Patchwise
from detectors.studies.report import StudySettings
from detectors.torch_detector import TorchDetector
from detectors.training.batches import BatchPlan
from detectors.training.loop import Progress, Training, TrainingResult, snapshot, train
from subnet.media import embedded
from subnet.types import Label, Media, Modality

CROPS: Mapping[int, int] = {128: 128, 64: 64, 32: 64, 16: 32}  # what training cuts patches from
STEPS, QUICK_STEPS = 600, 24
EPOCHS, QUICK_EPOCHS = 10, 4
RANDOM = 15  # patches at random places
CONTENT = "building"  # the category of embedded photographs that is left out of training
CHUNK = 8  # pictures that are judged at once


@dataclass(frozen=True)
class Division:
    """What training does not see: photographs of a category, fakes of an origin; "" where nothing is left out."""

    content: str
    generator: str

    @property
    def photographs(self) -> tuple[str, ...] | None:
        """The embedded photographs that are trained on; None for all items of whatever data."""
        if not self.content:
            return None
        return tuple(item.id for item in embedded.items(Modality.IMAGE) if item.category != self.content)


@dataclass(frozen=True, eq=False)
class Judged:
    """Test items as a miner would see them at level 0, in one order; all arrays (N,)."""

    records: Sequence[DatasetItem]
    media: Sequence[Media]
    y: Ints
    cluster: Ints
    known_content: votes.Flags
    known_generator: votes.Flags  # True for reals

    @property
    def known(self) -> votes.Flags:
        """What is like the training set in both."""
        return self.known_content & self.known_generator


@dataclass(frozen=True, eq=False)
class Run:
    """What one size of patch came to. `epochs` (E, N, P) log-odds of the test patches after every epoch, the best by
    validation AUC first; `random` (N, RANDOM) those of patches at random places, `others` (M, P) those of further test
    sets by name, both of the best epoch."""

    patch: int
    result: TrainingResult
    detector: TorchDetector
    epochs: Floats
    random: Floats
    others: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def best(self) -> Floats:
        """Log-odds (N, P) of the epoch with the best validation AUC."""
        best: Floats = self.epochs[0]
        return best


def divide(records: Sequence[DatasetItem], *, left_out: Sequence[str] = (), quick: bool = False) -> Division:
    """What can be left out of these data so that both classes remain: of generators the first of `left_out`.

    A quick run starts from the weights that ship, which know all content, and all embedded generators but that.
    """
    categories = {item.id: item.category for item in embedded.items(Modality.IMAGE)}
    kinds = {categories.get(record.item, "") for record in records}
    origins = sorted({record.origin for record in records if record.label is Label.SYNTHETIC})
    generator = next((name for name in left_out if name in origins), "") if len(origins) > 1 else ""
    return Division(CONTENT if CONTENT in kinds and len(kinds) > 1 and not quick else "", generator)


def items_of_test(settings: StudySettings, division: Division, folder: Path | None = None) -> Judged:
    """All images of the test folder, or of another `folder`, at level 0, as `assay evaluate` shows them."""
    root = folder or settings.test
    task = Task(str(root), root, (0,), seed=settings.seed)
    records = items(task, Modality.IMAGE, settings.tell)
    media = []
    for record in records:
        media += variants(record, (View(0),), task.root, task.seed)
        settings.stage(f"{root.name} items", len(media), len(records))
    categories = {item.id: item.category for item in embedded.items(Modality.IMAGE)}
    contents = np.array([categories.get(record.item, "-") for record in records])
    origins = np.array([record.origin for record in records])
    y = np.array([int(record.label) for record in records])
    known = (y == 0) | (origins != division.generator)
    return Judged(records, media, y, clusters(records), contents != division.content, known)


def run(settings: StudySettings, division: Division, judged: Judged, patch: int, others: Mapping[str, Judged]) -> Run:
    """Train on patches of one size; judge the test items with the weights of every epoch, `others` with the best."""
    steps = settings.steps or (QUICK_STEPS if settings.quick else STEPS)
    wanted = course(settings, division, patch, steps)
    name = f"{patch} px"

    def report(progress: Progress) -> None:
        settings.stage(f"train {name}", progress.step, steps)

    result = train(wanted, report, settings.tell)
    ranked = [step for step, _ in sorted(result.history, key=lambda row: (-row[1], -row[0]))]
    networks = [opened(snapshot(wanted, step), settings) for step in ranked]
    answers = []
    for number, network in enumerate(networks, 1):
        answers.append(on_grid(network, judged.media))
        settings.stage(f"judge {name}", number, len(networks))
    best = opened(result.weights, settings)
    places = at_places(networks[0], judged.media, settings.seed)
    elsewhere = {name: on_grid(networks[0], each.media) for name, each in others.items()}
    return Run(patch, result, best, np.stack(answers), places, elsewhere)


def course(settings: StudySettings, division: Division, patch: int, steps: int) -> Training:
    """The training run of one size of patch."""
    return Training(
        "patchwise",
        settings.train,
        settings.out / "weights" / f"patchwise-{patch}.safetensors",
        validation=settings.validation,
        seed=settings.seed,
        steps=steps,
        plan=BatchPlan(pairs=8, crop=CROPS[patch], early=(0.7, 0.2, 0.1, 0.0), late=(0.4, 0.3, 0.2, 0.1)),
        exclude=(division.generator,) if division.generator else (),
        items=division.photographs,
        network={"patch": patch},
        init=HERE / TABLE["patchwise"].weights if settings.quick else None,
        snapshots=True,
        device=settings.device,
        evaluate_every=max(1, steps // (QUICK_EPOCHS if settings.quick else EPOCHS)),
        patience=steps,
        validation_items=40 if settings.quick else 120,
    )


def opened(weights: Path, settings: StudySettings) -> TorchDetector:
    """The detector with weights of the run."""
    return network_detector(TABLE["patchwise"], device=settings.device, weights=weights)


@torch.inference_mode()
def on_grid(detector: TorchDetector, media: Sequence[Media]) -> Floats:
    """Log-odds (N, P) of the patches that do not overlap, row by row."""
    network = _network(detector)
    views = [detector.views(each) for each in media]
    parts = [network.by_place(torch.cat(views[at : at + CHUNK])).flatten(1) for at in range(0, len(views), CHUNK)]
    return _numbers(torch.cat(parts))


@torch.inference_mode()
def at_places(detector: TorchDetector, media: Sequence[Media], seed: int) -> Floats:
    """Log-odds (N, RANDOM) of patches at random places, drawn for each picture by its number."""
    network, rows = _network(detector), []
    for number, each in enumerate(media):
        view = detector.views(each)
        rng = np.random.default_rng([seed, 5, number])
        drawn = votes.random_places(rng, RANDOM, view.shape[-2], view.shape[-1], network.patch).tolist()
        side = network.patch
        rows.append(network.judge(torch.cat([view[..., y : y + side, x : x + side] for y, x in drawn])))
    return _numbers(torch.stack(rows))


def _numbers(x: torch.Tensor) -> Floats:
    numbers: Floats = x.double().cpu().numpy()
    return numbers


def _network(detector: TorchDetector) -> Patchwise:
    assert isinstance(detector.network, Patchwise)
    return detector.network
