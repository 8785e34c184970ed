"""What a training will take, measured by a few of its steps before it starts, on the device that it will run on.

Steps of the network run on pixels of chance, which cost what others cost; batches are made of the data themselves. On
a card the memory is its allocator's peak; on a CPU the growth of the process meanwhile, and what is still to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import psutil
import torch
from torch import nn

from detectors.dataset.cuts import challenge_media, key_of, pixel_bytes
from detectors.dataset.items import DatasetItem
from detectors.preprocess import normalise
from detectors.training.batches import Batch, Batches, BatchPlan
from detectors.training.loop import Training
from detectors.training.networks import arguments, build
from detectors.training.recipes import Recipe, recipe
from detectors.training.windows import GIB
from subnet.errors import SettingsError
from subnet.registry import resolve
from subnet.types import Media, Modality

STEPS = 4  # of which the first warms up and is not counted
SLOWER, FASTER = 1.8, 0.7  # what the rest may take, beside the steps that were measured


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


def estimate(settings: Training, records: Sequence[DatasetItem]) -> Estimate:
    """What `settings` will take on `records`, from a few steps here.

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
    before = _memory(settings.device)
    try:
        seconds, units, kind = _measure(settings, chosen, plan, records)
    except torch.OutOfMemoryError as error:
        raise SettingsError(
            f"--device {settings.device}: {chosen.name} does not fit with {plan.pairs} pairs: give fewer with --pairs, "
            "a smaller network, or --device cpu"
        ) from error
    grown = max(0, _memory(settings.device) - before)
    needed = grown if settings.device.startswith("cuda") else grown + held
    return Estimate(units, kind, FASTER * seconds * units, SLOWER * seconds * units, needed, settings.device)


def _measure(
    settings: Training, chosen: Recipe, plan: BatchPlan, records: Sequence[DatasetItem]
) -> tuple[float, int, str]:
    """Seconds of a step, how many there are, and what they are called."""
    network = build(chosen, arguments(chosen, 2, settings.size, settings.network)).to(settings.device)
    if chosen.trainer:
        return _fitted(network, settings, chosen, records)
    batches = Batches(
        records,
        lambda record: challenge_media(record, key_of(record, settings.data), settings.seed),
        plan,
        steps=STEPS,
        seed=settings.seed,
    )
    made = _timed(lambda number: batches[number])
    taken = _timed(_steps(network, settings, chosen, plan))
    return taken + made / max(1, settings.workers), settings.steps or chosen.steps, "steps"


def _steps(network: nn.Module, settings: Training, chosen: Recipe, plan: BatchPlan) -> Callable[[int], object]:
    """Whole steps of the optimiser on pixels of chance."""
    shape = (2 * plan.pairs, plan.frames, 3, plan.crop, plan.crop)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(2 * plan.pairs).ge(plan.pairs).float()
    batch = Batch(frames, labels, labels.long()).to(torch.device(settings.device))
    trained = [each for each in network.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-6)
    objective, rng = resolve(chosen.objective), torch.Generator().manual_seed(0)

    def step(_number: int) -> object:
        network.train()
        half = torch.autocast(settings.device.partition(":")[0], torch.bfloat16, enabled=settings.precision == "bf16")
        with half:
            loss = objective(network, normalise(batch.frames, chosen.family.preprocess), batch, rng)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def _fitted(
    network: nn.Module, settings: Training, chosen: Recipe, records: Sequence[DatasetItem]
) -> tuple[float, int, str]:
    """Seconds of an item, of a network whose head is fitted on features: every variant of every item goes through."""
    if chosen.family.modality is not Modality.IMAGE or not hasattr(network, "features"):
        raise SettingsError(f"--recipe: nothing is known of what {chosen.name} takes; train it without one")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    view = resolve(chosen.family.views)(Media(pixels), chosen.family.preprocess, torch.device(settings.device))
    with torch.inference_mode():
        seconds = _timed(lambda _number: network.eval().features(view).cpu())  # type: ignore[operator]
    return seconds, chosen.head.variants * len(records) + settings.validation_items, "items"


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
