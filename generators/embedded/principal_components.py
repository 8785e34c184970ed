"""Where training of the autoencoder starts: at the principal components of 4x4 patches, not at random.

The encoder begins as the projection onto the leading components, decoders as its inverse, so that minutes of training
on a CPU go into what a linear map cannot do. A value passes a SiLU unharmed as a pair: silu(x) - silu(-x) = x.
Upsampling by nearest neighbour cannot hold the inverse and begins with its mean over each block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generators.embedded.autoencoder import CHANNELS, FACTOR, KINDS, Autoencoder

SIDE = FACTOR // 2


def components(x_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (48), leading directions (8, 48) and their standard deviations (12) of the patches of pictures."""
    patches = nn.functional.pixel_unshuffle(x_BCHW, FACTOR).permute(0, 2, 3, 1).reshape(-1, 3 * FACTOR**2)
    mean = patches.mean(0)
    centred = patches - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    return mean, vectors.T.flip(0)[:CHANNELS], values.flip(0)[:CHANNELS].clamp_min(1e-6).sqrt()


def set_rows(module: nn.Conv2d, matrix_OI: Tensor) -> None:
    """The first output channels become `matrix_OI` of the first input channels at the same place, without bias."""
    rows, columns = matrix_OI.shape
    centre = module.kernel_size[0] // 2
    module.weight[:rows] = 0
    module.weight[:rows, :columns, centre, centre] = matrix_OI
    if module.bias is not None:
        module.bias[:rows] = 0


def set_enlarging(module: nn.Module, phases_YXOI: Tensor) -> None:
    """The first output channels of an enlarging layer become a matrix of the first inputs for each of 2x2 phases."""
    rows, columns = phases_YXOI.shape[2:]
    if isinstance(module, nn.ConvTranspose2d):
        module.weight[:, :rows] = 0
        module.weight[:columns, :rows, 1:3, 1:3] = phases_YXOI.permute(3, 2, 0, 1)
        if module.bias is not None:
            module.bias[:rows] = 0
        return
    for layer in module.children():
        if isinstance(layer, nn.Conv2d) and isinstance(module, nn.Sequential):
            shuffled = isinstance(module[-1], nn.PixelShuffle)
            by_channel = phases_YXOI.permute(2, 0, 1, 3).reshape(4 * rows, columns)  # PixelShuffle's order
            set_rows(layer, by_channel if shuffled else phases_YXOI.mean((0, 1)))


@torch.no_grad()
def begin(model: Autoencoder, x_BCHW: Tensor) -> None:
    """Set the encoder and all decoders of a fresh `model` to the components of `x_BCHW`."""
    mean, directions, deviations = components(x_BCHW)
    root = deviations.sqrt()[:, None]  # half-way to unit variance: noise on a latent costs about the same in each
    project, restore = directions / root, (directions * root).T  # (8, 48), (48, 8)
    first, last = model.encoder[1], model.encoder[-1]
    if not isinstance(first, nn.Conv2d) or not isinstance(last, nn.Conv2d):
        raise TypeError("the encoder begins and ends with a convolution")
    set_rows(first, project)
    if first.bias is not None:
        first.bias[:CHANNELS] = -(project @ mean)
    set_rows(last, torch.eye(CHANNELS))
    inverse = restore.reshape(3, SIDE, 2, SIDE, 2, CHANNELS)  # colour, row of halves, row in it, column ..., latent
    halves_YXOI = inverse.permute(1, 3, 0, 2, 4, 5).reshape(SIDE, SIDE, 12, CHANNELS)
    wholes_YXOI = torch.zeros(2, 2, 6, 12)
    for index in range(12):
        colour, row, column = index // 4, index // 2 % 2, index % 2
        wholes_YXOI[row, column, colour, index] = 1
        wholes_YXOI[row, column, colour + 3, index] = -1
    pair = torch.cat([torch.eye(3), -torch.eye(3)], 1)  # (3, 6): the value of a pair
    for kind in KINDS:
        layers = list(model.decoders[kind].children())
        plain = ((layers[0], torch.eye(CHANNELS)), (layers[7], torch.cat([pair, -pair])), (layers[9], pair))
        for layer, matrix in plain:
            if isinstance(layer, nn.Conv2d):
                set_rows(layer, matrix)
        set_enlarging(layers[3], halves_YXOI)
        set_enlarging(layers[5], wholes_YXOI)
        if isinstance(layers[9], nn.Conv2d) and layers[9].bias is not None:
            layers[9].bias[:] = mean.reshape(3, -1).mean(1)
