"""One training loop for every detector.

What step n does depends on the settings, the seed and n alone (`batches`), and the state after step n is one file that
is replaced atomically: a run killed at any moment and started again ends, on the same machine and number of threads,
with the same weights as one left alone. Data that do not fit in memory are read in windows (`windows`); several
processes (`ranks`) share each step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from detectors.checkpoints import load_strictly, write
from detectors.dataset.cuts import not_all_alike, sift
from detectors.dataset.items import DatasetItem, Tell, both_classes, read_folder, silence
from detectors.preprocess import normalise
from detectors.public_checkpoints import load_into
from detectors.torch_detector import TorchDetector, channels_last
from detectors.training.batches import Batch, BatchPlan, numbered
from detectors.training.losses import Objective
from detectors.training.networks import arguments, build
from detectors.training.ranks import Rank, average, check_share, here, neighbours_needed, share_statistics, told, world
from detectors.training.recipes import Recipe, recipe
from detectors.training.results import write_trained
from detectors.training.state import TrainingState, fingerprint, restore, store
from detectors.training.validation_set import Examples, examples, some, tell_few
from detectors.training.windows import Supply, window_items
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
    network: Mapping[str, int | float | Path | str] | None = None  # arguments of the network in place of its size's own
    features: Path | None = None  # folder that keeps what the body of a network with a fitted head gives
    memory: float = 1.0  # GiB of decoded training items; more of them are read in windows
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
        if world() > 1:
            raise SettingsError(f"{chosen.name} is trained by one process; start it without torchrun")
        trained: TrainingResult = resolve(chosen.trainer)(settings, report, tell)
        return trained
    if chosen.first and settings.init is None:  # in the same size
        settings = replace(settings, init=train(before(settings, chosen.first), report, tell).weights)
    rank = here(settings.device)
    plan = settings.plan or chosen.plan_for(settings.size)
    steps = settings.steps or chosen.steps
    records = wanted(read_folder(settings.data, tell), chosen, settings)
    check_share(plan.pairs, len(records), rank)
    window = window_items(records, settings.memory)
    if window is None:
        records = sound(records, chosen, settings, tell)
    methods = numbered(records)
    maker = partial(
        resolve(chosen.batches),
        plan=plan,
        steps=steps,
        seed=settings.seed,
        methods=methods,
        part=(rank.number, rank.of),
    )
    supply = Supply(
        records, maker, settings.data, steps=steps, pairs=plan.pairs, seed=settings.seed, window=window, tell=tell
    )
    judged = held_out(settings, chosen, tell)
    validation = examples(judged, settings.validation_items, seed=settings.seed)
    course = {"steps": steps, **({"window": window} if window else {})}
    identity = fingerprint({**asdict(settings), **course}, records, judged)
    run = _Run(settings, chosen, steps, len(methods), validation, identity, rank)
    with neighbours_needed(rank):
        run.through(supply, report or (lambda progress: None))
        return told(partial(run.finish, plan, records), rank)


def snapshot(settings: Training, step: int) -> Path:
    """The weights as they were judged after `step`, uncalibrated, of a run that keeps them."""
    return settings.out.with_name(f"{settings.out.stem}-step-{step}.safetensors")


def before(settings: Training, name: str) -> Training:
    """The run that comes before the one of `settings`, in the same folder; rate and examples are its recipe's own."""
    out = settings.out.with_name(f"{settings.out.stem}-{name}.safetensors")
    return replace(settings, detector=name, out=out, plan=None, learning_rate=None)


def wanted(records: Sequence[DatasetItem], chosen: Recipe, settings: Training) -> list[DatasetItem]:
    """Records of the recipe's modality, without excluded origins, of the wanted items. Raises DataError."""
    kept = [record for record in records if record.modality is chosen.family.modality]
    kept = [record for record in kept if record.origin not in settings.exclude]
    if settings.items is not None:
        asked = set(settings.items)
        kept = [record for record in kept if record.item in asked]
    modality = chosen.family.modality
    if records and not any(record.modality is modality for record in records):
        count = len(records)
        raise DataError(f"data: {chosen.name} judges {modality}s, and none of {count} items in {settings.data} is one")
    gone = sorted({record.origin for record in records if record.origin in settings.exclude})
    without = f" without {', '.join(gone)} (--exclude)" if gone else ""
    both_classes(kept, f"{_what(chosen, settings)}{without}")
    return kept


def _what(chosen: Recipe, settings: Training) -> str:
    return f"{settings.data} for {chosen.name} ({chosen.family.modality})"


def sound(records: Sequence[DatasetItem], chosen: Recipe, settings: Training, tell: Tell) -> list[DatasetItem]:
    """Those of `records` that can be used, each of which is decoded for that. Raises DataError."""
    usable = sift(records, _what(chosen, settings), tell)
    not_all_alike(usable, _what(chosen, settings))
    return usable


def select(
    records: Sequence[DatasetItem], chosen: Recipe, settings: Training, tell: Tell = silence
) -> list[DatasetItem]:
    """Usable records of the recipe's modality, without excluded origins, of the wanted items. Raises DataError."""
    return sound(wanted(records, chosen, settings), chosen, settings, tell)


def held_out(settings: Training, chosen: Recipe, tell: Tell = silence) -> list[DatasetItem]:
    """The usable validation records; where they are few to calibrate by is told. Raises DataError.

    Of more than fit in memory some are drawn, several times as many as a run is judged by.
    """
    held = settings.validation or settings.data.parent / "validation"
    settings = replace(settings, data=held)
    records = wanted(read_folder(held, tell), chosen, settings)
    if window_items(records, settings.memory) is not None:
        records = some(records, 4 * settings.validation_items, seed=settings.seed)
    records = sound(records, chosen, settings, tell)
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
        self,
        settings: Training,
        chosen: Recipe,
        steps: int,
        origins: int,
        validation: Examples,
        identity: str,
        rank: Rank,
    ) -> None:
        self.settings, self.recipe, self.steps, self.validation = settings, chosen, steps, validation
        self.rank = rank
        torch.manual_seed(settings.seed)
        self.size = arguments(chosen, origins, settings.size, settings.network)
        network = build(chosen, self.size)
        if settings.init is not None:
            load_into(network, settings.init, chosen.name)
        elif chosen.start:
            resolve(chosen.start)(network)
        network = channels_last(network)
        share_statistics(network, rank)  # before the optimiser takes the parameters
        learning_rate = settings.learning_rate or chosen.learning_rate
        optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=chosen.weight_decay)
        self.accelerator = Accelerator(mixed_precision=settings.precision, cpu=settings.device == "cpu")
        self.network = self.accelerator.prepare_model(network, evaluation_mode=rank.of > 1)  # unwrapped: see `ranks`
        self.optimiser = self.accelerator.prepare_optimizer(optimiser)
        self.objective: Objective = resolve(chosen.objective)
        self.state_path = settings.out.with_suffix(".state.safetensors")
        self.state = TrainingState.fresh(identity, self._bare().state_dict())
        if self.state_path.is_file():
            self.state = restore(self.state_path, self.state.fingerprint, self._bare(), self.optimiser)

    def _bare(self) -> nn.Module:
        bare: nn.Module = self.accelerator.unwrap_model(self.network)
        return bare

    def through(self, supply: Supply, report: Callable[[Progress], None]) -> None:
        """All steps that are left, or until validation has not improved for `patience` evaluations."""
        first = self.state.step
        started = time.monotonic()
        for step, batch in supply.batches(first, self.settings.workers):
            losses = self._step(step, batch)
            measured = self._judge(step + 1)
            left = (time.monotonic() - started) / (step + 1 - first) * (self.steps - step - 1)
            report(Progress(step + 1, self.steps, losses, left, measured, self.state.best, self.recipe.measure_name))
            ended = self.state.waited >= self.settings.patience
            due = ended or (step + 1) % self.settings.save_every == 0 or step + 1 == self.steps
            if due and self.rank.leads:
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
        figures = [value.detach().reshape(1) for value in losses.values()]
        gradients = [each.grad for each in self.network.parameters() if each.grad is not None]
        average(self.accelerator, [*gradients, *figures], self.rank)
        self.accelerator.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.state.average(self._bare().state_dict(), min(MEAN_OF, (step + 1) / (step + 10)))
        self.state.step = step + 1
        return {name: float(value) for name, value in zip(losses, figures, strict=True)}

    def _judge(self, step: int) -> float | None:
        if step % self.settings.evaluate_every and step != self.steps:
            return None
        measure = resolve(self.recipe.measure)
        measured: float = told(lambda: measure(self._detector(self.state.mean), self.validation), self.rank)
        self.state.record(step, measured)
        if self.settings.snapshots and self.rank.leads:
            notes = {"detector": self.recipe.name, "step": step}
            prepared = self.recipe.family.preprocess
            write(snapshot(self.settings, step), self.state.mean, preprocess=prepared, notes=notes)
        return measured

    def _detector(self, weights: dict[str, Tensor]) -> TorchDetector:
        chosen = self.recipe.family
        network = build(self.recipe, self.size)
        load_strictly(network, weights, "the moving average")
        views = resolve(chosen.views)
        return TorchDetector(
            chosen.name,
            chosen.modality,
            network,
            preprocess=chosen.preprocess,
            views=views,
            device=self.accelerator.device,
        )

    def finish(self, plan: BatchPlan, records: Sequence[DatasetItem]) -> TrainingResult:
        """Fit the calibration of the best weights, and write them with the recipe that made them."""
        state, settings = self.state, self.settings
        logits = self._detector(state.best_weights).logits(self.validation.media).tolist()
        about = {"size": self.size, "history": state.history}
        course = {**asdict(replace(settings, plan=plan)), "steps": self.steps}
        answers = (logits, self.validation.labels)
        sha256 = write_trained(course, self.recipe, state.best_weights, answers, records, about)
        history = [(int(step), float(value)) for step, value in state.history]
        return TrainingResult(
            settings.out,
            sha256,
            state.step,
            state.best_step,
            np.nan if state.best is None else float(state.best),
            history,
        )
