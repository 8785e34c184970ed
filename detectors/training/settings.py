"""What a training run is told, what it tells while it runs, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from detectors.training.batches import BatchPlan


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


@dataclass(frozen=True)
class Progress:
    """One line of a run, after each step; `auc` on validation where it was just measured."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_left: float
    auc: float | None = None
    best: float | None = None


@dataclass(frozen=True)
class TrainingResult:
    """The end of a run. `history` holds (step, validation AUC)."""

    weights: Path
    sha256: str
    steps: int
    best_step: int
    auc: float
    history: list[tuple[int, float]] = field(default_factory=list)
