"""What training of masks minimises, over a batch of N reals, their N twins and N composites."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.segment.network import Segment
from detectors.training.batches import Batch
from detectors.training.losses import Losses, ranking


def objective(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """Cross-entropy and Dice of the pixels, cross-entropy of the pictures, and the order of twins in both.

    x (3N, T, 3, H, W), of which frame 0 is used. Pictures of one class weigh the same together.
    """
    inner = getattr(network, "module", network)
    if not isinstance(inner, Segment) or batch.masks is None:
        raise TypeError(f"this objective trains Segment on batches with masks, not {type(inner).__name__}")
    answers, places = inner.both(x[:, 0])
    pixels, third = places[:, 0], len(x) // 3
    pixel = functional.binary_cross_entropy_with_logits(pixels, batch.masks)
    overlap = dice(pixels, batch.masks)
    twins = ranking(answers[: 2 * third], batch.labels[: 2 * third])
    composed = functional.binary_cross_entropy_with_logits(answers[2 * third :], batch.labels[2 * third :])
    order = functional.softplus(pixels[:third] - pixels[third : 2 * third]).mean()
    total = pixel + overlap + order + twins["loss"] + 0.5 * composed
    return {"loss": total, "pixel": pixel, "dice": overlap, "order": order, "picture": twins["entropy"]}


def dice(log_odds: Tensor, masks: Tensor) -> Tensor:
    """1 - 2 |A and B| / (|A| + |B|) over a batch, A being probabilities: Milletari et al. 2016, section 3."""
    p = torch.sigmoid(log_odds)
    return 1 - (2 * (p * masks).sum() + 1) / (p.sum() + masks.sum() + 1)
