"""Nearest-neighbour enlargement and the convolution behind it as one layer, for networks that only make pictures.

A 3x3 convolution of a picture in which every pixel stands four times multiplies the same values again and again. Summed
beforehand, its weights are those of a 4x4 transposed convolution of stride 2: the same function with 4/9 of the
multiplications, and without the enlarged copy. Only the rounding of sums differs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Row t: which of the three taps of the convolution fall on tap t of the transposed one, along one axis.
_TAPS = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))


@torch.no_grad()
def transposed(conv: nn.Conv2d) -> nn.ConvTranspose2d:
    """The transposed convolution equal to doubling by nearest neighbour and then `conv` (3x3, padded by 1)."""
    weight_OI33: Tensor = conv.weight
    taps = torch.tensor(_TAPS, dtype=torch.float64, device=weight_OI33.device)
    summed_IO44 = torch.einsum("yi,ocij,xj->coyx", taps, weight_OI33.double(), taps)
    layer = nn.ConvTranspose2d(
        conv.in_channels, conv.out_channels, 4, stride=2, padding=1, bias=conv.bias is not None
    ).to(weight_OI33)
    layer.weight.copy_(summed_IO44)
    if conv.bias is not None and layer.bias is not None:
        layer.bias.copy_(conv.bias)
    return layer.eval().requires_grad_(False)


def merge(network: nn.Module) -> int:
    """Replace every pair of doubling and 3x3 convolution that stand in one `nn.Sequential`; how many there were.

    In place, and for inference only: afterwards the names of the weights are no longer those of the trained network.
    """
    merged = 0
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(layers) - 1):
            first, second = layers[index], layers[index + 1]
            if _doubles(first) and _plain(second):
                assert isinstance(second, nn.Conv2d)
                layers[index], layers[index + 1] = nn.Identity(), transposed(second)
                merged += 1
    return merged


def _doubles(module: nn.Module) -> bool:
    return isinstance(module, nn.Upsample) and module.mode == "nearest" and module.scale_factor in (2, (2.0, 2.0))


def _plain(module: nn.Module) -> bool:
    """True for a 3x3 convolution that keeps the size, pads with zeros, and mixes all channels."""
    return isinstance(module, nn.Conv2d) and (
        (module.kernel_size, module.stride, module.padding, module.dilation, module.groups, module.padding_mode)
        == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros")
    )
