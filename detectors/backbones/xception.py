"""Xception (Chollet 2017) as a feature extractor, in any width.

At width 1 the keys and numbers are those of timm's `legacy_xception` without its classifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly


class SeparableConv(nn.Module):
    """A 3x3 convolution for each channel alone, then 1x1 across channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y: Tensor = self.pointwise(self.conv1(x_BCHW))
        return y


class Block(nn.Module):
    """`repeats` separable convolutions with a short cut around them; a pool of 3 by `stride` at the end where it is 2.

    `late` keeps the number of channels until the last convolution (the exit flow); `plain` starts without a ReLU.
    """

    def __init__(
        self, inputs: int, outputs: int, repeats: int, stride: int = 1, *, plain: bool = False, late: bool = False
    ) -> None:
        super().__init__()
        widths = [inputs] * (repeats if late else 1) + [outputs] * (1 if late else repeats)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.ReLU(), SeparableConv(before, after), nn.BatchNorm2d(after)]
        if plain:
            layers = layers[1:]
        if stride != 1:
            layers.append(nn.MaxPool2d(3, stride, padding=1))
        self.rep = nn.Sequential(*layers)
        self.skip: nn.Conv2d | None = None
        if stride != 1 or inputs != outputs:
            self.skip = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.skipbn = nn.BatchNorm2d(outputs)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        shortcut = x_BCHW if self.skip is None else self.skipbn(self.skip(x_BCHW))
        y: Tensor = self.rep(x_BCHW) + shortcut
        return y


def channels(published: int, width: float, least: int = 4) -> int:
    """A published number of channels scaled by `width`, in steps of 4, and no fewer than `least`."""
    return published if width == 1 else max(least, round(published * width / 4) * 4)


class Xception(nn.Module):
    """RGB (B, 3, H, W) -> the last feature map before any classifier, (B, 2048 x width, H/32, W/32).

    `least` keeps the first layers of a narrow network wide: what a generator leaves behind is faint, and the first
    convolution strides over it.
    """

    def __init__(self, width: float = 1.0, least: int = 4) -> None:
        super().__init__()
        published = (32, 64, 128, 256, 728, 1024, 1536, 2048)
        c32, c64, c128, c256, c728, c1024, c1536, c2048 = (channels(number, width, least) for number in published)
        self.conv1 = nn.Conv2d(3, c32, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(c32)
        self.conv2 = nn.Conv2d(c32, c64, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(c64)
        self.block1 = Block(c64, c128, 2, 2, plain=True)
        self.block2 = Block(c128, c256, 2, 2)
        self.block3 = Block(c256, c728, 2, 2)
        for number in range(4, 12):
            setattr(self, f"block{number}", Block(c728, c728, 3))
        self.block12 = Block(c728, c1024, 2, 2, late=True)
        self.conv3 = SeparableConv(c1024, c1536)
        self.bn3 = nn.BatchNorm2d(c1536)
        self.conv4 = SeparableConv(c1536, c2048)
        self.bn4 = nn.BatchNorm2d(c2048)
        self.channels = c2048

    def features(self, x_BCHW: Tensor) -> Tensor:
        """The feature map; the last layer's ReLU is left to who asks."""
        y = torch.relu(self.bn1(self.conv1(x_BCHW)))
        y = torch.relu(self.bn2(self.conv2(y)))
        for number in range(1, 13):
            y = getattr(self, f"block{number}")(y)
        y = torch.relu(self.bn3(self.conv3(y)))
        last: Tensor = self.bn4(self.conv4(y))
        return last

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.features(x_BCHW)


def is_imagenet(state: Mapping[str, Tensor]) -> bool:
    """Whether this is an Xception trained on ImageNet (timm's `legacy_xception`, or the older file)."""
    return "conv1.weight" in state and "block12.skip.weight" in state


def fill(body: Xception, state: Mapping[str, Tensor]) -> None:
    """Start a body of the published size from an ImageNet Xception, whose classifier is left behind.

    Keys that only `body` has stay as they are. Raises CheckpointError naming what does not fit.
    """
    given = {key: value for key, value in state.items() if not key.startswith(("fc.", "last_linear.", "classifier."))}
    flat = {key for key, value in given.items() if "pointwise" in key and value.ndim == 2}
    given |= {key: given[key][..., None, None] for key in flat}
    own = body.state_dict()
    kept = {key: own[key] for key in own if key not in given and (key.endswith("num_batches_tracked") or _added(key))}
    load_strictly(body, {**kept, **given}, "the ImageNet Xception")


def _added(key: str) -> bool:
    return not key.startswith(("conv", "bn", "block"))
