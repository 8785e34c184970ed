"""The Haar transform, in which the wavelet form of the network draws and looks (arXiv 2102.06108, section 3).

A picture of C channels becomes 4 * C bands of half the side: LL of all channels, then LH, HL and HH. LL is the mean
times two, LH top minus bottom, HL left minus right, HH the product of both. The transform is orthonormal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS = ("ll", "lh", "hl", "hh")


class _Bands(nn.Module):
    """Four kernels of 2x2. In the public layout they are kept as true convolutions: analysis turns them around."""

    def __init__(self, detail: float) -> None:
        super().__init__()
        low, high = torch.tensor([1.0, 1.0]), torch.tensor([-1.0, 1.0])
        pairs = ((low, low, 1.0), (high, low, detail), (low, high, detail), (high, high, 1.0))
        for name, (rows, columns, sign) in zip(BANDS, pairs, strict=True):
            self.register_buffer(name, sign * torch.outer(rows, columns) / 2)

    def kernels(self, like: Tensor) -> Tensor:
        """(4, 1, 2, 2), in the order of `BANDS`."""
        return torch.stack([getattr(self, name) for name in BANDS])[:, None].to(like)


class Haar(_Bands):
    """x_BCHW to its bands, (B, 4 * C, H / 2, W / 2). Sides must be even."""

    def __init__(self) -> None:
        super().__init__(detail=1.0)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        batch, channels, height, width = x_BCHW.shape
        kernels = self.kernels(x_BCHW).flip(2, 3)
        bands = functional.conv2d(x_BCHW.reshape(-1, 1, height, width), kernels, stride=2)
        half = (height // 2, width // 2)
        return bands.reshape(batch, channels, 4, *half).transpose(1, 2).reshape(batch, 4 * channels, *half)


class InverseHaar(_Bands):
    """Bands (B, 4 * C, H, W) back to the picture, (B, C, 2 * H, 2 * W)."""

    def __init__(self) -> None:
        super().__init__(detail=-1.0)

    def forward(self, bands_BCHW: Tensor) -> Tensor:
        batch, channels, height, width = bands_BCHW.shape
        bands = bands_BCHW.reshape(batch, 4, -1, height, width).transpose(1, 2)
        x = functional.conv_transpose2d(bands.reshape(-1, 4, height, width), self.kernels(bands_BCHW), stride=2)
        return x.reshape(batch, channels // 4, 2 * height, 2 * width)
