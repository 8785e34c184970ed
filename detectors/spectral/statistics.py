"""Numbers that describe a residual: how strong it is, how its values are spread, and how neighbours go together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEAST = 1e-8  # added to variances of pictures in 0..1: a quarter of a hundredth of a grey level, squared
SHIFTS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 4), (4, 0))  # rows and columns between neighbours
PERIODS = (2, 4)  # pixels between traces of up-sampling by these factors
SIZE = 3 + len(SHIFTS) + len(PERIODS)  # numbers of each channel


def grey(x_BCHW: Tensor) -> Tensor:
    """Luma (B, 1, H, W) of RGB in 0..1 (ITU-R BT.601, section 2.5.1)."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=x_BCHW.device).view(1, 3, 1, 1)
    return (x_BCHW * weights).sum(dim=1, keepdim=True)


def filtered(x_BCHW: Tensor, kernels_KHW: Tensor) -> Tensor:
    """Every channel under every kernel, without padding: (B, C * K, H', W')."""
    batch, channels, height, width = x_BCHW.shape
    planes = x_BCHW.reshape(batch * channels, 1, height, width)
    out = functional.conv2d(planes, kernels_KHW.unsqueeze(1).to(x_BCHW))
    return out.reshape(batch, -1, *out.shape[2:])


def describe(residual_BCHW: Tensor) -> Tensor:
    """SIZE numbers of each channel: (B, C * SIZE).

    Log standard deviation; mean magnitude in standard deviations; log kurtosis; correlations of neighbours at SHIFTS;
    and how unequally energy is spread over the pixels of each period, whatever the phase (Popescu & Farid 2005: what
    was up-sampled is periodic).
    """
    x = residual_BCHW - residual_BCHW.mean(dim=(2, 3), keepdim=True)
    variance = x.square().mean(dim=(2, 3)) + LEAST
    numbers = spread(residual_BCHW)
    height, width = x.shape[2:]
    for down, across in SHIFTS:
        product = x[..., down:, across:] * x[..., : height - down, : width - across]
        numbers.append(product.mean(dim=(2, 3)) / variance)
    numbers.extend(_periodic(x, period) for period in PERIODS)
    return torch.stack(numbers, dim=2).flatten(1)


def spread(residual_BCHW: Tensor) -> list[Tensor]:
    """Log standard deviation, mean magnitude in standard deviations, and log kurtosis of each channel: (B, C) each."""
    x = residual_BCHW - residual_BCHW.mean(dim=(2, 3), keepdim=True)
    square = x.square()
    variance = square.mean(dim=(2, 3)) + LEAST
    kurtosis = square.square().mean(dim=(2, 3)) / variance.square()
    return [0.5 * variance.log(), x.abs().mean(dim=(2, 3)) / variance.sqrt(), (kurtosis + 1e-2).log()]


def _periodic(x_BCHW: Tensor, period: int) -> Tensor:
    """Standard deviation of the log energies of the phases of a period: (B, C)."""
    height, width = (side // period * period for side in x_BCHW.shape[2:])
    cut = x_BCHW[..., :height, :width].square()
    phases = cut.reshape(*cut.shape[:2], height // period, period, width // period, period).mean(dim=(2, 4))
    return (phases + LEAST).log().flatten(2).std(dim=2)
