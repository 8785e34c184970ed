"""The networks below the machine: three small ones of our own, and timm's VGG16 and DenseNet-121, thin or as published.

Each maps normalised RGB (B, 3, H, W) to the vector before its classifier, and has its last feature maps in `maps`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.models.densenet import DenseNet
from timm.models.vgg import VGG, cfgs
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 512  # of our own networks
WIDTHS = (24, 48, 96, 160)  # channels of their stages, each at half the resolution of the one before
VGG_SIDE = 224  # pixels that VGG16's first dense layer spans


def _unit(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two 3x3 convolutions and a short cut. He et al. 2016, figure 5 on the left."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            _unit(inputs, outputs, 2), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.relu(self.convolutions(x_BCHW) + self.shortcut(x_BCHW))


class Separable(nn.Sequential):
    """A depthwise convolution with the stride, then one over channels. Howard et al. 2017, figure 3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        point = nn.Conv2d(inputs, outputs, 1, bias=False)
        super().__init__(_unit(inputs, inputs, 2, groups=inputs), point, nn.BatchNorm2d(outputs), nn.ReLU())


class Halving(nn.Sequential):
    """Two 3x3 convolutions, the first with the stride."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(_unit(inputs, outputs, 2), _unit(outputs, outputs))


STAGES: dict[str, type[nn.Module]] = {"plain": Halving, "residual": Residual, "separable": Separable}


class Custom(nn.Module):
    """Four stages of one kind on what a 3x3 binomial blur leaves of a picture, then a dense layer to 512 features.

    Traces of up-sampling are faint beside a picture's content, which the blur takes away (Bayar & Stamm 2016 learn such
    a filter).
    """

    blur: Tensor

    def __init__(self, stage: str) -> None:
        super().__init__()
        line = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("blur", torch.outer(line, line).expand(3, 1, 3, 3).clone(), persistent=False)
        self.stem = _unit(3, WIDTHS[0])
        widths = zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
        self.maps = nn.Sequential(*(STAGES[stage](inputs, outputs) for inputs, outputs in widths))
        self.dense = nn.Linear(WIDTHS[-1], FEATURES)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        padded = functional.pad(x_BCHW, (1, 1, 1, 1), mode="replicate")
        detail = x_BCHW - functional.conv2d(padded, self.blur, groups=3)
        return torch.relu(self.dense(self.maps(self.stem(4.0 * detail)).mean(dim=(2, 3))))


class Dense(nn.Module):
    """DenseNet (Huang et al. 2017) of timm; growth 32 and blocks (6, 12, 24, 16) are DenseNet-121, 1,024 features."""

    def __init__(self, growth: int = 32, blocks: Sequence[int] = (6, 12, 24, 16)) -> None:
        super().__init__()
        self.maps = DenseNet(growth_rate=growth, block_config=tuple(blocks), num_classes=0).features

    def forward(self, x_BCHW: Tensor) -> Tensor:
        features: Tensor = self.maps(x_BCHW).mean(dim=(2, 3))
        return features


class Vgg(nn.Module):
    """VGG16 (Simonyan & Zisserman 2015) of timm on 224 pixels, 4,096 features; `width` scales all but these."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        layout = [step if isinstance(step, str) else max(1, round(step * width)) for step in cfgs["vgg16"]]
        whole = VGG(layout, num_classes=0, mlp_ratio=width)
        self.maps, self.dense = whole.features, whole.pre_logits

    def forward(self, x_BCHW: Tensor) -> Tensor:
        size = (VGG_SIDE, VGG_SIDE)
        resized = functional.interpolate(x_BCHW, size, mode="bilinear", align_corners=False)
        features: Tensor = self.dense(self.maps(resized)).flatten(1)
        return features
