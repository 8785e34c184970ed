"""Families of features of pixels and their neighbours: pictures (B, 3, H, W) in 0..1 to numbers (B, F)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from detectors.spectral.frequency import cosines
from detectors.spectral.statistics import LEAST, SIZE, describe, filtered, grey

SIGMAS = ((1, 0.8), (1, 1.2), (2, 1.0), (2, 1.6))  # pixels that are averaged before, and the Gaussian's width then
CLIP, LEVELS = 3, 2  # of SRM residuals on the scale 0..255: where they are cut, and how they are counted
RANKS = (1, 8, 32)
CELLS = 8  # along each side, of the picture's regions
SCALES = (1, 2, 4)  # pixels that are averaged before textures are measured

LOG_SIZE = len(SIGMAS) * SIZE
SRM_SIZE = 3 * (SIZE + (2 * LEVELS + 1) ** 2)
SVD_SIZE = len(RANKS) * (SIZE + 1)
COLOUR_SIZE = 4 * 3 * 3 + 2 + 3
REGIONS_SIZE = 8
GRAM_SIZE = len(SCALES) * (8 + 28)


def laplacian_of_gaussian(x_BCHW: Tensor) -> Tensor:
    """Responses to the Laplacian of a Gaussian of widths 0.8, 1.2, 2 and 3.2 (Marr & Hildreth 1980, section 2).

    The two wide ones work at half the size.
    """
    light = {factor: functional.avg_pool2d(grey(x_BCHW), factor) for factor in (1, 2)}
    parts = [filtered(light[factor], _log_kernel(sigma).unsqueeze(0)) for factor, sigma in SIGMAS]
    return torch.cat([describe(part) for part in parts], dim=1)


def _log_kernel(sigma: float) -> Tensor:
    reach = math.ceil(3 * sigma)
    place = torch.arange(-reach, reach + 1, dtype=torch.float32)
    square = (place[:, None].square() + place[None, :].square()) / (2 * sigma**2)
    kernel = (square - 1) * torch.exp(-square)
    return (kernel - kernel.mean()) / (math.pi * sigma**4)


def srm_kernels() -> Tensor:
    """The three filters of 5 x 5 that are in use of the rich models (Fridrich & Kodovsky 2012; Zhou et al. 2018)."""
    second = torch.zeros(5, 5)
    second[2, 1:4] = torch.tensor([1.0, -2.0, 1.0]) / 2
    square = torch.zeros(5, 5)
    square[1:4, 1:4] = torch.tensor([[-1.0, 2.0, -1.0], [2.0, -4.0, 2.0], [-1.0, 2.0, -1.0]]) / 4
    edge = torch.tensor([-1.0, 2.0, -2.0, 2.0, -1.0])
    large = torch.outer(edge, -edge)
    large[1:4, 1:4] = torch.tensor([[-6.0, 8.0, -6.0], [8.0, -12.0, 8.0], [-6.0, 8.0, -6.0]])
    large[0] = large[4] = torch.tensor([-1.0, 2.0, -2.0, 2.0, -1.0])
    large[1, [0, 4]] = large[3, [0, 4]] = 2.0
    large[2, [0, 4]] = -2.0
    return torch.stack([second, square, large / 12])


def srm(x_BCHW: Tensor) -> Tensor:
    """Residuals of steganalysis (Fridrich & Kodovsky 2012): statistics, and how often neighbours take which levels."""
    residual = (filtered(grey(x_BCHW), srm_kernels()) * 255).clamp(-CLIP, CLIP)
    levels = residual.round().clamp(-LEVELS, LEVELS) + LEVELS
    sides = 2 * LEVELS + 1
    pairs = (levels[..., :-1] * sides + levels[..., 1:]).long().flatten(2)
    counts = torch.zeros(*pairs.shape[:2], sides**2, device=pairs.device)
    counts.scatter_add_(2, pairs, torch.ones_like(pairs, dtype=torch.float32))
    return torch.cat([describe(residual), (counts / pairs.shape[2]).flatten(1)], dim=1)


def svd_residual(x_BCHW: Tensor) -> Tensor:
    """What a picture of low rank leaves (Eckart & Young 1936): of ranks 1, 8 and 32 its statistics and energy share."""
    light = grey(x_BCHW)[:, 0]
    light = light - light.mean(dim=(1, 2), keepdim=True)
    u, s, v = torch.linalg.svd(light, full_matrices=False)
    energy = s.square().sum(dim=1, keepdim=True) + LEAST
    numbers = []
    for rank in RANKS:
        rest = light - (u[..., :rank] * s[:, None, :rank]) @ v[:, :rank]
        share = (s[:, rank:].square().sum(dim=1, keepdim=True) + LEAST) / energy
        numbers += [describe(rest.unsqueeze(1)), share.log()]
    return torch.cat(numbers, dim=1)


def colour(x_BCHW: Tensor) -> Tensor:
    """Moments of RGB, YCbCr, HSV and L*a*b* at half the size (Li et al. 2020: fakes differ most in chrominance).

    Then the strength of fine chrominance against fine luminance, and how fine detail of R, G and B goes together.
    """
    ycbcr = _ycbcr(x_BCHW)
    small = functional.avg_pool2d(x_BCHW, 2)
    numbers = [_moments(space) for space in (small, _ycbcr(small), _hsv(small), _lab(small))]
    fine = filtered(torch.cat([x_BCHW, ycbcr], dim=1), srm_kernels()[1:2])
    variance = fine.square().mean(dim=(2, 3)) + LEAST
    numbers.append((variance[:, 4:] / variance[:, 3:4]).log())
    for one, other in ((0, 1), (1, 2), (0, 2)):
        product = (fine[:, one] * fine[:, other]).mean(dim=(1, 2))
        numbers.append((product / (variance[:, one] * variance[:, other]).sqrt()).unsqueeze(1))
    return torch.cat(numbers, dim=1)


def _moments(x_BCHW: Tensor) -> Tensor:
    mean = x_BCHW.mean(dim=(2, 3))
    centred = x_BCHW - mean[:, :, None, None]
    variance = centred.square().mean(dim=(2, 3)) + LEAST
    skewness = (centred * centred * centred).mean(dim=(2, 3)) / (variance.pow(1.5) + 1e-6)
    return torch.cat([mean, variance.sqrt(), skewness], dim=1)


def _ycbcr(x_BCHW: Tensor) -> Tensor:
    """ITU-R BT.601, chrominance around 0."""
    red, _, blue = x_BCHW.unbind(dim=1)
    light = grey(x_BCHW)[:, 0]
    return torch.stack([light, (blue - light) / 1.772, (red - light) / 1.402], dim=1)


def _hsv(x_BCHW: Tensor) -> Tensor:
    """Sine of the hue (weighted by saturation, so that greys have none), saturation and value."""
    high, low = x_BCHW.amax(dim=1), x_BCHW.amin(dim=1)
    chroma = high - low
    red, green, blue = x_BCHW.unbind(dim=1)
    hue = torch.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue + 1e-6)
    saturation = chroma / (high + 1e-3)
    return torch.stack([hue.sin() * saturation, saturation, high], dim=1)


def _lab(x_BCHW: Tensor) -> Tensor:
    """CIE 1976 L*a*b* in hundredths, from sRGB under D65."""
    linear = torch.where(x_BCHW <= 0.04045, x_BCHW / 12.92, ((x_BCHW.clamp(min=0) + 0.055) / 1.055).pow(2.4))
    matrix = torch.tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    white = torch.tensor([0.95047, 1.0, 1.08883])
    xyz = torch.einsum("ij,bjhw->bihw", (matrix / white[:, None]).to(x_BCHW), linear)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6).pow(1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(dim=1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], dim=1)


def regions(x_BCHW: Tensor) -> Tensor:
    """Differences of blur and resolution between regions: what warping leaves (FWA: Li & Lyu 2019, section 3).

    Of 8 x 8 cells the log energy of fine detail, and fine against coarse: spread, range, middle against border, and
    of neighbours the mean difference.
    """
    light = grey(x_BCHW)
    side = [functional.avg_pool2d(light, factor) for factor in (1, 2)]
    laplacian = torch.tensor([[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]])
    fine, coarse = (
        (functional.adaptive_avg_pool2d(filtered(part, laplacian).square(), CELLS)[:, 0] + LEAST).log() for part in side
    )
    numbers = []
    inner = slice(CELLS // 4, CELLS - CELLS // 4)
    for cells in (fine, fine - coarse):
        middle = cells[:, inner, inner].mean(dim=(1, 2))
        steps = (cells.diff(dim=1).abs().mean(dim=(1, 2)) + cells.diff(dim=2).abs().mean(dim=(1, 2))) / 2
        flat = cells.flatten(1)
        numbers += [flat.std(dim=1), flat.amax(dim=1) - flat.amin(dim=1), middle - flat.mean(dim=1), steps]
    return torch.stack(numbers, dim=1)


def gram(x_BCHW: Tensor) -> Tensor:
    """Gram matrices of textures at three scales (Gatys et al. 2015; Gram-Net: Liu et al. 2020, section 4).

    Textures are the eight filters of a 3 x 3 DCT that do not see even colour: log energies, and correlations.
    """
    basis = cosines(3, x_BCHW.device)
    kernels = torch.einsum("ik,jl->ijkl", basis, basis).reshape(9, 3, 3)[1:]
    upper = torch.triu_indices(8, 8, offset=1, device=x_BCHW.device)
    numbers = []
    for scale in SCALES:
        maps = filtered(functional.avg_pool2d(grey(x_BCHW), scale), kernels).flatten(2)
        product = maps @ maps.transpose(1, 2) / maps.shape[2]
        energy = product.diagonal(dim1=1, dim2=2) + LEAST
        related = product / (energy[:, :, None] * energy[:, None, :]).sqrt()
        numbers += [energy.log(), related[:, upper[0], upper[1]]]
    return torch.cat(numbers, dim=1)
