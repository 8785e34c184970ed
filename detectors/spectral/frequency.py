"""Families of features in the frequency domain: pictures (B, 3, H, W) in 0..1 to numbers (B, F)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from detectors.spectral.statistics import SIZE, describe, filtered, grey, spread

RADII = 32  # rings of the radial spectrum
BLOCK, STEP = 64, 32  # pixels: side of the blocks of the averaged spectrum, and from one to the next
FRACTIONS = 8  # peaks are looked for at multiples of 1/8 of the sampling rate
QUANTILES = (0.9, 0.99, 0.999, 1.0)
BANDS = 4  # of the frequency-aware decomposition
FLOOR = 1e-7  # added to powers before logarithms

RADIAL_SIZE = RADII + 1
PHASE_SIZE = SIZE + 4
BANDS_SIZE = BANDS * 3 * 3
PEAKS_SIZE = (FRACTIONS // 2 + 1) ** 2 - 1 + len(QUANTILES)


def log_power(x_BHW: Tensor) -> Tensor:
    """Log power spectrum under a Hann window, frequency 0 in the middle: (B, H, W)."""
    height, width = x_BHW.shape[-2:]
    window = torch.outer(*(torch.hann_window(side, device=x_BHW.device) for side in (height, width)))
    centred = (x_BHW - x_BHW.mean(dim=(-2, -1), keepdim=True)) * window
    power = torch.fft.fft2(centred).abs().square() / window.square().sum()
    shifted: Tensor = torch.fft.fftshift((power + FLOOR).log(), dim=(-2, -1))
    return shifted


def rings(height: int, width: int, device: torch.device) -> Tensor:
    """The ring 0 .. RADII - 1 of each frequency (H * W,), RADII beyond half the sampling rate."""
    down, across = ((torch.arange(side, device=device) - side // 2) / side for side in (height, width))
    radius = torch.hypot(down[:, None], across[None, :])
    return (radius * 2 * RADII).long().clamp(max=RADII).reshape(-1)


def radial_profile(x_BCHW: Tensor) -> Tensor:
    """Mean log power on each ring, lowest frequencies first: (B, RADII)."""
    power = log_power(grey(x_BCHW)[:, 0]).flatten(1)
    place = rings(x_BCHW.shape[2], x_BCHW.shape[3], power.device)
    sums = power.new_zeros(len(power), RADII + 1).index_add_(1, place, power)
    counts = torch.bincount(place, minlength=RADII + 1).clamp(min=1)
    return (sums / counts)[:, :RADII]


def radial(x_BCHW: Tensor) -> Tensor:
    """Azimuthal mean of the log power spectrum (Durall et al. 2020, section 3.1): its level, and its shape without."""
    profile = radial_profile(x_BCHW)
    level = profile.mean(dim=1, keepdim=True)
    return torch.cat([level, profile - level], dim=1)


def phase(x_BCHW: Tensor) -> Tensor:
    """What the phase alone draws: amplitude 1 everywhere, and back (SPSL: Liu et al. 2021, section 3.2).

    Its statistics and four quantiles of its magnitude.
    """
    spectrum = torch.fft.fft2(grey(x_BCHW))
    drawn = torch.fft.ifft2(spectrum / (spectrum.abs() + FLOOR)).real * math.sqrt(spectrum[0].numel())
    marks = torch.tensor([0.5, 0.9, 0.99, 0.999], device=drawn.device)
    quantiles = torch.quantile(drawn.abs().flatten(1), marks, dim=1).T
    return torch.cat([describe(drawn), (quantiles + 1e-3).log()], dim=1)


def cosines(side: int, device: torch.device) -> Tensor:
    """The orthonormal DCT-II (side, side), a row for each frequency."""
    k, n = torch.arange(side, device=device)[:, None], torch.arange(side, device=device)[None, :]
    table = torch.cos(math.pi * k * (2 * n + 1) / (2 * side)) * math.sqrt(2 / side)
    return torch.cat([table[:1] / math.sqrt(2), table[1:]])


def bands(x_BCHW: Tensor) -> Tensor:
    """Frequency-aware decomposition (F3-Net: Qian et al. 2020, section 3.1): DCT, four bands, and back.

    Bands of i + j below N / 2.82, from there to N / 2, above, and all; of each channel in each band log deviation,
    mean magnitude in deviations, and log kurtosis.
    """
    height, width = x_BCHW.shape[2:]
    down, across = cosines(height, x_BCHW.device), cosines(width, x_BCHW.device)
    coefficients = down @ x_BCHW @ across.T
    i, j = torch.arange(height, device=down.device)[:, None], torch.arange(width, device=down.device)[None, :]
    place = (i / height + j / width) / 2  # 0..1, as (i + j) / 2N is
    low, middle = (down.T @ (coefficients * (place < edge)) @ across for edge in (1 / 5.64, 0.25))
    return torch.cat([torch.cat(spread(part), dim=1) for part in (low, middle - low, x_BCHW - middle, x_BCHW)], dim=1)


def block_spectrum(x_BCHW: Tensor) -> Tensor:
    """Mean power of overlapping blocks (Welch 1967) of what a Laplacian leaves, as logarithm: (B, BLOCK, BLOCK)."""
    laplacian = torch.tensor([[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]])
    rest = filtered(grey(x_BCHW), laplacian)[:, 0]
    if min(rest.shape[1:]) < BLOCK:
        rest = functional.pad(rest, (0, max(0, BLOCK - rest.shape[2]), 0, max(0, BLOCK - rest.shape[1])))
    blocks = rest.unfold(1, BLOCK, STEP).unfold(2, BLOCK, STEP).flatten(1, 2)
    power = log_power(blocks.reshape(-1, BLOCK, BLOCK)).exp().reshape(*blocks.shape)
    return power.mean(dim=1).log()


def peaks(x_BCHW: Tensor) -> Tensor:
    """Peaks of the 2-D DFT where up-sampling leaves them (Zhang et al. 2019; Frank et al. 2020).

    The averaged spectrum above its surroundings: at multiples of 1/8 of the sampling rate, and quantiles over all.
    """
    spectrum = block_spectrum(x_BCHW).unsqueeze(1)
    around = functional.avg_pool2d(functional.pad(spectrum, (5, 5, 5, 5), mode="circular"), 11, stride=1)
    excess = (spectrum - around)[:, 0]
    near = functional.max_pool2d(functional.pad(excess.unsqueeze(1), (1, 1, 1, 1), mode="circular"), 3, stride=1)[:, 0]
    middle, step, most = BLOCK // 2, BLOCK // FRACTIONS, FRACTIONS // 2
    found = []
    for u in range(most + 1):
        for v in range(most + 1):
            if u or v:
                row, left, right = (middle + u * step) % BLOCK, (middle - v * step) % BLOCK, (middle + v * step) % BLOCK
                found.append((near[:, row, left] + near[:, row, right]) / 2)
    marks = torch.tensor(QUANTILES, device=excess.device)
    return torch.cat([torch.stack(found, dim=1), torch.quantile(excess.flatten(1), marks, dim=1).T], dim=1)
