"""NPR: neighbouring-pixel residuals and a short ResNet-50.

Tan et al., "Rethinking the Up-Sampling Operations in CNN-based Generative Network for Generalizable Deepfake
Detection", CVPR 2024. Up-sampling leaves the pixels of each 2x2 cell related; the residual to the first shows it.
1,437,761 parameters in 146 tensors; the key names are those of the authors' checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

FEATURES = 512  # of the pooled vector below the last layer


def residual(x_BCHW: Tensor) -> Tensor:
    """x minus the top left pixel of its 2x2 cell, in the input's units. An odd last row or column is dropped.

    Equal to x - up(down(x, 1/2), 2) with nearest neighbours (the paper, section 3.2).
    """
    height, width = x_BCHW.shape[-2] // 2 * 2, x_BCHW.shape[-1] // 2 * 2
    even = x_BCHW[..., :height, :width]
    first = even[..., ::2, ::2]
    return even - first.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 to four times the width, and a short cut. He et al. 2016, figure 5."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        shortcut = x_BCHW if self.downsample is None else self.downsample(x_BCHW)
        y = torch.relu(self.bn1(self.conv1(x_BCHW)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + shortcut)


class NPR(nn.Module):
    """Normalised RGB (B, 3, H, W) -> log-odds of synthetic (B,). Any size from 16 pixels on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), Bottleneck(256, 64), Bottleneck(256, 64))
        self.layer2 = nn.Sequential(Bottleneck(256, 128, stride=2), *(Bottleneck(512, 128) for _ in range(3)))
        self.fc1 = nn.Linear(FEATURES, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x_BCHW: Tensor) -> Tensor:
        """What the last layer decides upon, pooled over the picture: (B, 512)."""
        return self.pooled(residual(x_BCHW.float()) * (2.0 / 3.0))

    def pooled(self, residual_BCHW: Tensor) -> Tensor:
        """The body's features of what is left of a picture: (B, 512)."""
        y = self.maxpool(torch.relu(self.bn1(self.conv1(residual_BCHW))))
        pooled: Tensor = self.layer2(self.layer1(y)).mean(dim=(2, 3))
        return pooled

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logit: Tensor = self.fc1(self.features(x_BCHW)).squeeze(1)
        return logit


def is_npr(state: Mapping[str, Tensor]) -> bool:
    """Whether these are tensors of an NPR, which other networks may start from."""
    return "layer2.3.conv3.weight" in state and state["layer2.3.conv3.weight"].ndim == 4 and "fc1.weight" in state
