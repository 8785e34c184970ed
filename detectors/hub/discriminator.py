"""The discriminator of a GAN as a detector: what it was trained to call real has low log-odds of synthetic.

The layout is DCGAN's (Radford et al. 2016) as PyTorch's tutorial stores it: `main.0`, `main.2`, `main.3`, ...: strided
4 x 4 convolutions, batch norms after all but the first and the last, leaky rectifiers of slope 0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly, locate, read
from detectors.rows import DetectorRow
from detectors.torch_detector import TorchDetector, torch_device
from subnet.errors import CheckpointError

SLOPE = 0.2
SMALLEST = 4  # pixels that the last convolution sees along each side


class Discriminator(nn.Module):
    """Pictures (V, 3, side, side) in -1..1 -> log-odds of synthetic (V,), `widths` being channels after each layer."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for place, width in enumerate(widths):
            layers.append(nn.Conv2d(before, width, 4, 2, 1, bias=False))
            layers.extend([nn.BatchNorm2d(width)] if place else [])
            layers.append(nn.LeakyReLU(SLOPE))
            before = width
        layers.append(nn.Conv2d(before, 1, SMALLEST, 1, 0, bias=False))
        self.main = nn.Sequential(*layers)

    def forward(self, x_VCHW: Tensor) -> Tensor:
        real: Tensor = self.main(x_VCHW).mean(dim=(1, 2, 3))
        return -real


def widths_of(state: dict[str, Tensor], name: str) -> tuple[int, ...]:
    """Channels after each layer but the last, read off a state. Raises CheckpointError for another layout."""
    kernels = sorted((int(key.split(".")[1]), value) for key, value in state.items() if _is_kernel(key, value))
    shapes = [tuple(value.shape) for _, value in kernels]
    chain = [shape[1] for shape in shapes] == [3, *(shape[0] for shape in shapes[:-1])] if shapes else False
    if len(shapes) < 2 or not chain or shapes[-1][0] != 1 or any(shape[2:] != (SMALLEST, SMALLEST) for shape in shapes):
        raise CheckpointError(
            f"weights: {name} is no DCGAN discriminator: main.0.weight and so on, 4 x 4 convolutions from 3 channels "
            "down to 1, are needed"
        )
    return tuple(shape[0] for shape in shapes[:-1])


def _is_kernel(key: str, value: Tensor) -> bool:
    first, _, rest = key.partition(".")
    return first == "main" and value.ndim == 4 and rest.removesuffix(".weight").isdecimal()


def discriminator(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> TorchDetector:
    """The discriminator out of a file of tensors, for pictures of its own size. Raises CheckpointError."""
    if weights is None:
        raise CheckpointError(f"weights: nothing ships for {row.name}; give {row.requires}")
    place, checkpoint = torch_device(device), read(locate(weights))
    widths = widths_of(checkpoint.state, checkpoint.name)
    with torch.device("meta"):
        network = Discriminator(widths)
    network = network.to_empty(device="cpu")
    load_strictly(network, checkpoint.state, checkpoint.name)
    return TorchDetector(
        row.name,
        row.modality,
        network,
        preprocess=checkpoint.preprocess or replace(row.preprocess, size=SMALLEST * 2 ** len(widths)),
        calibration=checkpoint.calibration,
        weights_hash=checkpoint.sha256,
        device=place,
    )
