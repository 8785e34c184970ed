"""What a training will take, measured by a few of its steps before it starts, on the device that it will run on.

Items are decoded, batches made and steps taken as the run does it, and forgotten. On a card the memory is its
allocator's peak; on a CPU the growth of the process meanwhile, and what is still to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import psutil
import torch
from torch import nn

from detectors.dataset.cuts import challenge_media, key_of, pixel_bytes
from detectors.dataset.items import DatasetItem, both_classes
from detectors.preprocess import normalise
from detectors.training.batches import Batch, BatchPlan, numbered
from detectors.training.loop import Training
from detectors.training.networks import arguments, build
from detectors.training.recipes import Recipe, recipe
from detectors.training.validation_set import some
from detectors.training.windows import GIB
from subnet.errors import DataError, SettingsError
from subnet.registry import resolve
from subnet.types import Label, Media

FEW = 24  # items that batches are made of here
STEPS = 4  # of which the first warms up and is not counted
SLOWER, FASTER = 1.8, 0.7  # what the rest may take, beside the steps that were measured
FITTED = "detectors.training.fitting:train_fitted"


@dataclass(frozen=True)
class Estimate:
    """`units` steps, or items where a head is fitted, in `low` to `high` seconds; `memory` in bytes."""

    units: int
    kind: str
    low: float
    high: float
    memory: int
    device: str

    def __str__(self) -> str:
        return (
            f"about {_clock(self.low)} to {_clock(self.high)} for {self.units:,} {self.kind}, and "
            f"{self.memory / GIB:.1f} GiB on {self.device}; {STEPS - 1} were measured, and stopping early ends sooner"
        )


def estimate(settings: Training, records: Sequence[DatasetItem]) -> Estimate | None:
    """What `settings` will take on `records`, from a few steps here; None for what is trained in a way of its own.

    Raises SettingsError where they do not fit into memory, with what would help.
    """
    chosen = recipe(settings.detector)
    plan = settings.plan or chosen.plan_for(settings.size)
    held = min(len(records) * pixel_bytes(chosen.family.modality), int(settings.memory * GIB))
    free = psutil.virtual_memory().available
    if held > free:
        raise SettingsError(
            f"--memory {settings.memory:g}: the data fill {held / GIB:.1f} GiB of it, and {free / GIB:.1f} GiB are free"
        )
    if chosen.trainer not in ("", FITTED):
        return None
    before = _memory(settings.device)
    try:
        seconds, units, kind = (_fitted if chosen.trainer else _looped)(settings, chosen, plan, records)
    except torch.OutOfMemoryError as error:
        raise SettingsError(
            f"--device {settings.device}: {chosen.name} does not fit with {plan.pairs} pairs: give fewer with --pairs, "
            "a smaller network, or --device cpu"
        ) from error
    grown = max(0, _memory(settings.device) - before)
    needed = grown if settings.device.startswith("cuda") else grown + held
    return Estimate(units, kind, FASTER * seconds, SLOWER * seconds, needed, settings.device)


Measured = tuple[float, int, str]  # seconds of the whole, how many units it has, and what they are called


def _looped(settings: Training, chosen: Recipe, plan: BatchPlan, records: Sequence[DatasetItem]) -> Measured:
    """Of a network that the loop trains: every item is decoded once, every step has a batch to make."""
    methods, steps = numbered(records), settings.steps or chosen.steps
    decoded, seconds = _decoded(settings, records)
    batches = resolve(chosen.batches)(
        list(decoded), decoded.__getitem__, plan, steps=STEPS, seed=settings.seed, methods=methods
    )
    made = [batches[number] for number in range(STEPS)]
    making = _timed(lambda number: batches[number])
    network = build(chosen, arguments(chosen, len(methods), settings.size, settings.network)).to(settings.device)
    taking = _timed(_steps(network, settings, chosen, made))
    return seconds * len(records) + (taking + making / max(1, settings.workers)) * steps, steps, "steps"


def _steps(network: nn.Module, settings: Training, chosen: Recipe, made: Sequence[Batch]) -> Callable[[int], object]:
    """Whole steps of the optimiser, too small to change what comes after."""
    optimiser = torch.optim.AdamW([each for each in network.parameters() if each.requires_grad], lr=1e-6)
    objective, rng = resolve(chosen.objective), torch.Generator().manual_seed(0)

    def step(number: int) -> object:
        network.train()
        batch = made[number].to(torch.device(settings.device))
        half = torch.autocast(settings.device.partition(":")[0], torch.bfloat16, enabled=settings.precision == "bf16")
        with half:
            loss = objective(network, normalise(batch.frames, chosen.family.preprocess), batch, rng)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def _fitted(settings: Training, chosen: Recipe, plan: BatchPlan, records: Sequence[DatasetItem]) -> Measured:
    """Of a network whose head is fitted on features: every variant of every item goes through."""
    network = build(chosen, arguments(chosen, 2, settings.size, settings.network)).to(settings.device).eval()
    views, device = resolve(chosen.family.views), torch.device(settings.device)
    decoded, reading = _decoded(settings, records)
    pictures = list(decoded.values())

    def through(number: int) -> object:
        view = views(pictures[number % len(pictures)], chosen.family.preprocess, device)
        return network.features(view).cpu()  # type: ignore[operator]

    with torch.inference_mode():
        seconds = reading + _timed(through)
    items = chosen.head.variants * len(records) + settings.validation_items
    return seconds * items, items, "items"


def _decoded(settings: Training, records: Sequence[DatasetItem]) -> tuple[dict[DatasetItem, Media], float]:
    """Some of `records` with their pixels, pairs together, and the seconds of one; what cannot be read is left out, as
    it is in the run. Raises DataError where no item of a class can be."""
    chosen = some(records, FEW, seed=settings.seed)
    pairs = {record.pair for record in chosen if record.pair}
    chosen += [each for each in records if each.label is Label.REAL and each.pair in pairs and each not in chosen]
    decoded: dict[DatasetItem, Media] = {}
    started = time.perf_counter()
    for record in chosen:
        with suppress(DataError):
            decoded[record] = challenge_media(record, key_of(record, settings.data), settings.seed)
    both_classes(list(decoded), "the training set")
    return decoded, (time.perf_counter() - started) / len(chosen)


def _timed(work: Callable[[int], object]) -> float:
    """The middle of the seconds that `work` takes, called STEPS times, the first not counted."""
    taken = []
    for number in range(STEPS):
        started = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - started)
    return median(taken[1:])


def _memory(device: str) -> int:
    """Bytes in use: the allocator's peak on a card, or what the process holds."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(torch.device(device)))
    return int(psutil.Process().memory_info().rss)


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"
