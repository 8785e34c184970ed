"""A mask of every pixel and one answer for the picture: an encoder of timm, and a decoder that climbs back up.

Ronneberger et al., "U-Net", MICCAI 2015: each step up doubles the size and takes in the encoder's map of that size. The
picture's answer is read off the decoder's last map, its mean and its maximum over places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.checkpoints import load_strictly
from detectors.first_filters import see_residuals
from subnet.errors import CheckpointError

ENCODERS = ("resnet34", "resnet10t")  # of timm: what is published most, and a small one
STRIDES = (0, 1, 2, 3)  # the encoder's maps at 1/2, 1/4, 1/8 and 1/16 of the picture's size


class Up(nn.Module):
    """Twice the size, the encoder's map of that size beside it, and two convolutions."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs + skip, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, x_BCHW: Tensor, skip_BCHW: Tensor) -> Tensor:
        grown = functional.interpolate(x_BCHW, size=skip_BCHW.shape[-2:], mode="bilinear")
        y: Tensor = self.body(torch.cat([grown, skip_BCHW], dim=1))
        return y


class Segment(nn.Module):
    """Normalised RGB (B, 3, H, W) -> log-odds of synthetic (B,): is any part of the picture?

    `places` passes the log-odds of every pixel on, (B, 1, H, W). `encoder` is one of ENCODERS, `width` the channels of
    the decoder's last map.
    """

    def __init__(self, encoder: str = "resnet34", width: int = 32) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, not {encoder!r}")
        self.encoder = body(encoder)
        info: Any = self.encoder.feature_info
        half, quarter, eighth, last = info.channels()
        self.up = nn.ModuleList(
            [Up(last, eighth, 4 * width), Up(4 * width, quarter, 2 * width), Up(2 * width, half, width)]
        )
        self.mask = nn.Conv2d(width, 1, 1)
        self.head = nn.Linear(2 * width, 1)
        self.places = nn.Identity()

    def decode(self, x_BCHW: Tensor) -> Tensor:
        """The decoder's last map (B, width, H/2, W/2)."""
        *skips, y = self.encoder(x_BCHW)
        for step, skip in zip(self.up, reversed(skips), strict=True):
            y = step(y, skip)
        decoded: Tensor = y
        return decoded

    def both(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds of the pictures (B,), and of their pixels (B, 1, H, W)."""
        decoded = self.decode(x_BCHW)
        pooled = torch.cat([decoded.mean(dim=(2, 3)), decoded.amax(dim=(2, 3))], dim=1)
        coarse = self.mask(decoded)
        fine = functional.interpolate(coarse, size=x_BCHW.shape[-2:], mode="bilinear")
        return self.head(pooled).squeeze(1), self.places(fine)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.both(x_BCHW)[0]


def body(encoder: str) -> nn.Module:
    """An untrained encoder of timm that gives its maps."""
    import timm

    made: nn.Module = timm.create_model(encoder, pretrained=False, features_only=True, out_indices=STRIDES)
    return made


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Our own layout; the encoder is known by its keys, the width by the mask's weights. Raises CheckpointError."""
    mask = state.get("mask.weight")
    own = {key.removeprefix("encoder.") for key in state if key.startswith("encoder.")}
    for name in ENCODERS if mask is not None and mask.ndim == 4 else ():
        with torch.device("meta"):
            if set(body(name).state_dict()) == own:
                return state, {"encoder": name, "width": state["mask.weight"].shape[1]}
    raise CheckpointError(
        f"weights: not a segment checkpoint: mask.weight and the encoder of {' or '.join(ENCODERS)} are needed"
    )


def is_imagenet(state: Mapping[str, Tensor]) -> bool:
    """Whether this is timm's or torchvision's ResNet-34, trained on ImageNet."""
    return "conv1.weight" in state and "layer4.2.conv2.weight" in state and "fc.weight" in state


def start(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Start the encoder of the published size from an ImageNet ResNet-34; its last stage is left behind."""
    encoder = _segment(network).encoder
    wanted = encoder.state_dict()
    load_strictly(encoder, {key: value for key, value in state.items() if key in wanted}, "the ImageNet ResNet-34")


def start_with_residuals(network: nn.Module) -> None:
    """Let the first filters see residuals alone, where they are 3x3 and no ImageNet weights are at hand."""
    first = next(part for part in _segment(network).encoder.modules() if isinstance(part, nn.Conv2d))
    if first.kernel_size == (3, 3):
        see_residuals(first.weight)


def _segment(network: nn.Module) -> Segment:
    if not isinstance(network, Segment):
        raise CheckpointError(f"weights: an encoder of masks starts Segment, not {type(network).__name__}")
    return network
