"""What TALL minimises (Xu et al. 2023, section 3.2), and the order of twins, over N reals followed by their fakes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.tall.network import quarters
from detectors.training.batches import Batch
from detectors.training.losses import Losses, ranking

SMOOTHING = 0.1  # of labels
HOLE = 16  # side of the square that is cut out, pixels


def hole(x_BTCHW: Tensor, rng: torch.Generator) -> Tensor:
    """A grey 16x16 square at one place in all four frames of each clip (DeVries & Taylor 2017), for training only."""
    height, width = x_BTCHW.shape[-2:]
    cut = x_BTCHW.clone()
    for clip in cut:
        top = int(torch.randint(height - HOLE + 1, (), generator=rng))
        left = int(torch.randint(width - HOLE + 1, (), generator=rng))
        clip[..., top : top + HOLE, left : left + HOLE] = 0.0
    return cut


def objective(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """Cross-entropy with smoothed labels on the two logits, after the cut-out, and the order of twins.

    x (2N, 4, 3, h, w). The authors, who start from ImageNet weights and have no twins, minimise the first alone.
    """
    half = len(x) // 2
    state = rng.get_state()
    real = hole(x[:half], rng)
    rng.set_state(state)  # twins lose the same square
    log_odds = network(torch.cat([real, hole(x[half:], rng)]))
    return ranking(log_odds, batch.labels * (1 - SMOOTHING) + SMOOTHING / 2)


def still_objective(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """The same loss where the mosaic is one image. x (2N, 1, 3, 2h, 2w)."""
    return objective(network, quarters(x[:, 0]), batch, rng)
