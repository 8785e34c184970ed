"""A linear head by passes over many rows of features, which may lie on disk: logistic regression, a part at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from detectors.heads.head import LEAST_SCALE, Head
from subnet.errors import DataError


@dataclass(frozen=True)
class LinearPlan:
    """`batch` rows a step, `epochs` passes; the rate falls by a cosine. `decay` draws weights to 0."""

    epochs: int = 10
    batch: int = 1024
    learning_rate: float = 1e-2
    decay: float = 1e-3

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or not self.learning_rate > 0:
            raise ValueError(f"at least one epoch, two rows a batch and a rate above 0 are needed: {self}")


def fit_linear(
    x: NDArray[np.float32], labels: NDArray[np.int64], plan: LinearPlan | None = None, *, seed: int = 0
) -> Head:
    """The head for features `x` (N, F), in memory or mapped from disk, and `labels` (N,) of 0 and 1.

    Both classes weigh the same. Raises DataError for one class only, or features that are not finite or constant.
    """
    plan = plan or LinearPlan()
    if len(set(labels.tolist())) < 2:
        raise DataError("data: a head is fitted on both classes, and the items are all of one")
    mean, scale = _moments(x, plan.batch)
    weight = torch.zeros(x.shape[1], requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.AdamW([weight, bias], lr=plan.learning_rate, weight_decay=plan.decay)
    parts = -(-len(x) // plan.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.epochs * parts)
    share = labels.mean()
    rng = np.random.default_rng([seed, 9])
    for _ in range(plan.epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), plan.batch):
            places = np.sort(order[start : start + plan.batch])  # in the order in which they lie on disk
            rows = (torch.from_numpy(np.asarray(x[places], dtype=np.float32)) - mean) / scale
            y = torch.from_numpy(labels[places]).float()
            loss = _loss(rows @ weight + bias, y, float(share))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    head = Head(x.shape[1])
    state = {"mean": mean, "scale": scale, "weight": weight.detach(), "bias": bias.detach()}
    head.load_state_dict(state)
    return head


def _loss(log_odds: Tensor, y: Tensor, share: float) -> Tensor:
    weights = torch.where(y > 0, 0.5 / share, 0.5 / (1 - share))
    return functional.binary_cross_entropy_with_logits(log_odds, y, weight=weights)


def _moments(x: NDArray[np.float32], batch: int) -> tuple[Tensor, Tensor]:
    """Mean and spread of each feature, by parts. Raises DataError."""
    total = np.zeros((2, x.shape[1]))
    for start in range(0, len(x), batch):
        part = np.asarray(x[start : start + batch], dtype=np.float64)
        total += part.sum(axis=0), np.square(part).sum(axis=0)
    mean = total[0] / len(x)
    spread = np.sqrt(np.maximum(total[1] / len(x) - mean**2, 0.0))
    if not np.isfinite(spread).all():
        raise DataError("data: features are not all finite; the tower below the head has broken weights")
    if not (spread > LEAST_SCALE * np.maximum(1.0, np.abs(mean))).any():
        raise DataError(f"data: all {x.shape[1]} features are constant; give items that differ, or another tower")
    scale = np.where(spread > LEAST_SCALE, spread, 1.0)
    return torch.from_numpy(mean).float(), torch.from_numpy(scale).float()
