"""One training loop for every detector.

What step n does depends on the settings, the seed and n alone (`batches`), and the state after step n is one file that
is replaced atomically: a run killed at any moment and started again ends, on the same machine and number of threads,
with the same weights as one left alone.
"""

from __future__ import annotations

import inspect
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from detectors.calibration import fit
from detectors.checkpoints import load_strictly, write
from detectors.dataset.cuts import challenge_media, key_of, not_all_alike, sift
from detectors.dataset.items import DatasetItem, Tell, both_classes, read_folder, silence
from detectors.families import network_size
from detectors.preprocess import normalise
from detectors.public_checkpoints import load_into
from detectors.torch_detector import TorchDetector, channels_last
from detectors.training.batches import Batch, Batches, BatchPlan, methods
from detectors.training.losses import Objective
from detectors.training.recipes import Recipe, recipe
from detectors.training.state import TrainingState, fingerprint, restore, store
from detectors.training.validation_set import Examples, examples, tell_few
from subnet.errors import DataError, SettingsError
from subnet.registry import resolve

MEAN_OF = 0.995  # decay of the moving average of the weights


@dataclass(frozen=True)
class Training:
    """What to train, on what, and how long. None leaves a number to the recipe."""

    detector: str
    data: Path
    out: Path
    validation: Path | None = None
    seed: int = 0
    steps: int | None = None
    learning_rate: float | None = None
    plan: BatchPlan | None = None
    exclude: tuple[str, ...] = ()  # origins that are left out (leave one generator out)
    items: tuple[str, ...] | None = None  # only these source items, by id
    init: Path | None = None  # weights to start from
    experts: tuple[tuple[str, Path], ...] = ()  # of camo, that are trained already: names and weights
    size: Literal["small", "published"] = "small"  # of the network, where a recipe has a small one
    device: str = "cpu"
    precision: str = "no"  # or "bf16"
    workers: int = 0
    evaluate_every: int = 100
    save_every: int = 50
    patience: int = 8  # evaluations without a better AUC before stopping
    validation_items: int = 160
    half: bool = True  # store fp16
    network: Mapping[str, int | float] | None = None  # arguments of the network in place of its size's own
    snapshots: bool = False  # keep the weights of every evaluation: `snapshot` names their files


@dataclass(frozen=True)
class Progress:
    """One line of a run, after each step; `auc` on validation at steps that measure it, `best` the best so far.

    Where nothing descends, as in fitting a head, `losses` is empty and steps are items.
    Both are of what the recipe measures, which `measure` names for people.
    """

    step: int
    steps: int
    losses: dict[str, float]
    seconds_left: float
    auc: float | None = None
    best: float | None = None
    measure: str = "AUC"


def paced(report: Callable[[Progress], None], steps: int) -> Callable[[int], None]:
    """What tells `report` how many of `steps` are done (at least one), and the time left at the pace so far."""
    started = time.monotonic()

    def tell(done: int) -> None:
        report(Progress(done, steps, {}, (time.monotonic() - started) / done * (steps - done)))

    return tell


@dataclass(frozen=True)
class TrainingResult:
    """The end of a run. `history` holds (step, validation AUC), or what the recipe measures in its place."""

    weights: Path
    sha256: str
    steps: int
    best_step: int
    auc: float
    history: list[tuple[int, float]] = field(default_factory=list)


def train(settings: Training, report: Callable[[Progress], None] | None = None, tell: Tell = silence) -> TrainingResult:
    """Train and write `settings.out` (safetensors: the best weights by validation AUC, calibrated).

    The run's state lies beside it as `NAME.state.safetensors` and is resumed when it is there and belongs to the same
    settings. What is left out of the data is told. Raises DataError for data that cannot be used and SettingsError for
    settings that cannot run.
    """
    chosen = recipe(settings.detector)
    if chosen.trainer:
        trained: TrainingResult = resolve(chosen.trainer)(settings, report, tell)
        return trained
    if chosen.first and settings.init is None:  # in the same size
        settings = replace(settings, init=train(before(settings, chosen.first), report, tell).weights)
    plan = settings.plan or chosen.plan_for(settings.size)
    steps = settings.steps or chosen.steps
    records = select(read_folder(settings.data, tell), chosen, settings, tell)
    judged = held_out(settings, chosen, tell)
    pixels = {record.path: challenge_media(record, key_of(record, settings.data), settings.seed) for record in records}
    maker = resolve(chosen.batches)
    batches: Batches = maker(records, lambda record: pixels[record.path], plan, steps=steps, seed=settings.seed)
    validation = examples(judged, settings.validation_items, seed=settings.seed)
    identity = fingerprint({**asdict(settings), "steps": steps}, records, judged)
    run = _Run(settings, chosen, steps, len(batches.methods), validation, identity)
    run.through(batches, report or (lambda progress: None))
    return run.finish(plan, records)


def snapshot(settings: Training, step: int) -> Path:
    """The weights as they were judged after `step`, uncalibrated, of a run that keeps them."""
    return settings.out.with_name(f"{settings.out.stem}-step-{step}.safetensors")


def arguments(settings: Training, chosen: Recipe, origins: int) -> dict[str, Any]:
    """Arguments of the network to train. Raises SettingsError for one that it does not take, naming those it does."""
    own = network_size(chosen.family, origins, settings.size)
    given = dict(settings.network or {})
    known = list(inspect.signature(resolve(chosen.family.network)).parameters)
    if unknown := sorted(set(given) - set(known)):
        takes = f"takes {', '.join(known)}" if known else "takes none"
        raise SettingsError(f"network: {chosen.name} has no argument {', '.join(unknown)}; it {takes}")
    return {**own, **given}


def build(chosen: Recipe, size: Mapping[str, Any]) -> nn.Module:
    """The untrained network. Raises SettingsError for arguments out of range."""
    try:
        network: nn.Module = resolve(chosen.family.network)(**size)
    except (ValueError, TypeError, RuntimeError) as error:
        raise SettingsError(f"network: {chosen.name}: {error}") from error
    return network


def before(settings: Training, name: str) -> Training:
    """The run that comes before the one of `settings`, in the same folder; rate and examples are its recipe's own."""
    out = settings.out.with_name(f"{settings.out.stem}-{name}.safetensors")
    return replace(settings, detector=name, out=out, plan=None, learning_rate=None)


def select(
    records: Sequence[DatasetItem], chosen: Recipe, settings: Training, tell: Tell = silence
) -> list[DatasetItem]:
    """Usable records of the recipe's modality, without excluded origins, of the wanted items. Raises DataError."""
    kept = [record for record in records if record.modality is chosen.family.modality]
    kept = [record for record in kept if record.origin not in settings.exclude]
    if settings.items is not None:
        wanted = set(settings.items)
        kept = [record for record in kept if record.item in wanted]
    modality = chosen.family.modality
    if records and not any(record.modality is modality for record in records):
        count = len(records)
        raise DataError(f"data: {chosen.name} judges {modality}s, and none of {count} items in {settings.data} is one")
    gone = sorted({record.origin for record in records if record.origin in settings.exclude})
    without = f" without {', '.join(gone)} (--exclude)" if gone else ""
    what = f"{settings.data} for {chosen.name} ({modality}){without}"
    both_classes(kept, what)
    usable = sift(kept, what, tell)
    not_all_alike(usable, what)
    return usable


def held_out(settings: Training, chosen: Recipe, tell: Tell = silence) -> list[DatasetItem]:
    """The usable validation records; where they are few to calibrate by is told. Raises DataError."""
    held = settings.validation or settings.data.parent / "validation"
    records = select(read_folder(held, tell), chosen, replace(settings, data=held), tell)
    tell_few(records, held, tell)
    return records


def rate(step: int, steps: int) -> float:
    """Factor on the learning rate: 20 steps (at most a tenth) of warm-up, then a cosine down to 2 %."""
    warm = max(1, min(20, steps // 10))
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


class _Run:
    """The things with a lifetime: network, optimiser, moving average, state on disk."""

    def __init__(
        self, settings: Training, chosen: Recipe, steps: int, origins: int, validation: Examples, identity: str
    ) -> None:
        self.settings, self.recipe, self.steps, self.validation = settings, chosen, steps, validation
        torch.manual_seed(settings.seed)
        self.size = arguments(settings, chosen, origins)
        network = build(chosen, self.size)
        if settings.init is not None:
            load_into(network, settings.init, chosen.name)
        elif chosen.start:
            resolve(chosen.start)(network)
        network = channels_last(network)
        learning_rate = settings.learning_rate or chosen.learning_rate
        optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=chosen.weight_decay)
        self.accelerator = Accelerator(mixed_precision=settings.precision, cpu=settings.device == "cpu")
        self.network, self.optimiser = self.accelerator.prepare(network, optimiser)
        self.objective: Objective = resolve(chosen.objective)
        self.state_path = settings.out.with_suffix(".state.safetensors")
        self.state = TrainingState.fresh(identity, self._bare().state_dict())
        if self.state_path.is_file():
            self.state = restore(self.state_path, self.state.fingerprint, self._bare(), self.optimiser)

    def _bare(self) -> nn.Module:
        bare: nn.Module = self.accelerator.unwrap_model(self.network)
        return bare

    def through(self, batches: Batches, report: Callable[[Progress], None]) -> None:
        """All steps that are left, or until validation has not improved for `patience` evaluations."""
        first = self.state.step
        loader = DataLoader(
            batches,
            batch_size=None,
            sampler=range(first, self.steps),
            num_workers=self.settings.workers,
            prefetch_factor=4 if self.settings.workers else None,
        )
        started = time.monotonic()
        for step, batch in zip(range(first, self.steps), loader, strict=True):
            losses = self._step(step, batch)
            measured = self._judge(step + 1)
            left = (time.monotonic() - started) / (step + 1 - first) * (self.steps - step - 1)
            report(Progress(step + 1, self.steps, losses, left, measured, self.state.best, self.recipe.measure_name))
            ended = self.state.waited >= self.settings.patience
            if ended or (step + 1) % self.settings.save_every == 0 or step + 1 == self.steps:
                store(self.state_path, self.state, self._bare(), self.optimiser)
            if ended:
                return

    def _step(self, step: int, batch: Batch) -> dict[str, float]:
        self.network.train()
        torch.manual_seed(self.settings.seed * 1_000_003 + step)
        rng = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + step)
        learning_rate = self.settings.learning_rate or self.recipe.learning_rate
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate * rate(step, self.steps)
        device = self.accelerator.device
        moved = batch.to(device)
        with self.accelerator.autocast():
            losses = self.objective(self.network, normalise(moved.frames, self.recipe.family.preprocess), moved, rng)
        self.optimiser.zero_grad()
        self.accelerator.backward(losses["loss"])
        self.accelerator.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.state.average(self._bare().state_dict(), min(MEAN_OF, (step + 1) / (step + 10)))
        self.state.step = step + 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _judge(self, step: int) -> float | None:
        if step % self.settings.evaluate_every and step != self.steps:
            return None
        measured: float = resolve(self.recipe.measure)(self._detector(self.state.mean), self.validation)
        self.state.record(step, measured)
        if self.settings.snapshots:
            notes = {"detector": self.recipe.name, "step": step}
            prepared = self.recipe.family.preprocess
            write(snapshot(self.settings, step), self.state.mean, preprocess=prepared, notes=notes)
        return measured

    def _detector(self, weights: dict[str, Tensor]) -> TorchDetector:
        chosen = self.recipe.family
        network = build(self.recipe, self.size)
        load_strictly(network, weights, "the moving average")
        views = resolve(chosen.views)
        return TorchDetector(chosen.name, chosen.modality, network, preprocess=chosen.preprocess, views=views)

    def finish(self, plan: BatchPlan, records: Sequence[DatasetItem]) -> TrainingResult:
        """Fit the calibration of the best weights, and write them with the recipe that made them."""
        state, settings = self.state, self.settings
        logits = self._detector(state.best_weights).logits(self.validation.media).tolist()
        about = {"size": self.size, "steps": self.steps, "plan": plan, "history": state.history}
        answers = (logits, self.validation.labels)
        sha256 = write_trained(settings, self.recipe, state.best_weights, answers, records, about)
        history = [(int(step), float(value)) for step, value in state.history]
        return TrainingResult(
            settings.out,
            sha256,
            state.step,
            state.best_step,
            np.nan if state.best is None else float(state.best),
            history,
        )


def write_trained(
    settings: Training,
    chosen: Recipe,
    state: Mapping[str, Tensor],
    validation: tuple[Sequence[float], Sequence[int]],
    records: Sequence[DatasetItem],
    about: Mapping[str, Any],
    *,
    exact: str = "",
) -> str:
    """Write `settings.out` with a calibration fitted on `validation`, log-odds and labels; returns its sha256.

    Tensors whose keys begin with `exact` are not rounded to half precision. The metadata name the detector, the
    settings, the origins of the fakes and what `about` adds of the run.
    """
    plan, steps = about.get("plan", settings.plan), about.get("steps", settings.steps)
    course = {**asdict(replace(settings, plan=plan)), "steps": steps, "network": chosen.family.network}
    notes = {"detector": chosen.name, "recipe": course, "origins": sorted(methods(records))}
    notes |= {key: value for key, value in about.items() if key not in ("plan", "steps")}
    return write(
        settings.out,
        state,
        preprocess=chosen.family.preprocess,
        calibration=fit(*validation),
        notes=json.loads(json.dumps(notes, default=_plain)),
        half=settings.half,
        exact=exact,
    )


def _plain(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)
