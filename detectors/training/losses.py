"""What training minimises where a network answers with log-odds.

x (2N, T, 3, H, W) holds N reals and then N fakes, each twin at the place of its real.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.training.batches import Batch

Losses = dict[str, Tensor]  # "loss" is what is minimised; the rest is for people
Objective = Callable[[nn.Module, Tensor, Batch, torch.Generator], Losses]


def binary(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """Binary cross-entropy on the first frame."""
    return {"loss": functional.binary_cross_entropy_with_logits(network(x[:, 0]), batch.labels)}


def binary_and_ranking(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """Binary cross-entropy on the first frame, and the order of twins."""
    return ranking(network(x[:, 0]), batch.labels)


def clips_and_ranking(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """The same where the network judges clips."""
    return ranking(network(x), batch.labels)


def ranking(log_odds: Tensor, targets: Tensor) -> Losses:
    """Binary cross-entropy plus softplus(real - fake), the mean over pairs: RankNet's loss (Burges et al. 2005).

    What twins have in common cancels in their difference, so that faint traces are learnt before what pictures show.
    `log_odds` and `targets` (2N,): the N reals, then their fakes.
    """
    real, fake = log_odds.chunk(2)
    entropy = functional.binary_cross_entropy_with_logits(log_odds, targets)
    order = functional.softplus(real - fake).mean()
    return {"loss": entropy + order, "entropy": entropy, "order": order}
