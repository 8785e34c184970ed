"""What training of single patches minimises."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.patchwise.network import Patchwise
from detectors.training.batches import Batch
from detectors.training.losses import Losses, ranking


def objective(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """Cross-entropy of every patch by itself, and the order of twin patches. x (2N, T, 3, H, W), frame 0 is used."""
    inner = getattr(network, "module", network)
    if not isinstance(inner, Patchwise):
        raise TypeError(f"this objective trains Patchwise, not {type(inner).__name__}")
    log_odds = inner.by_place(x[:, 0]).flatten(1)
    labels = batch.labels[:, None].expand_as(log_odds)
    return ranking(log_odds.flatten(), labels.flatten())
