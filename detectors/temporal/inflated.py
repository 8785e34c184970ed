"""NPR's network inflated to three dimensions: a 3-D CNN that starts as good as its 2-D one.

Carreira & Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017 (I3D), in the ResNet-50 form of Wang et al.,
"Non-local Neural Networks", CVPR 2018, table 1: every second block has a 3x1x1 convolution in place of its first 1x1.
Ours has NPR's residual and stem in front, and halves time in the second stage. Weights are inflated into the middle
frame alone: a mean over frames would blur what a generator leaves in the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.npr.network import residual
from subnet.errors import CheckpointError

BLOCKS = (3, 4, 6, 3)  # of ResNet-50
STEM = 64
STAGES = 2  # of NPR


class Block(nn.Module):
    """1x1x1 or 3x1x1 (with the stride in time), 1x3x3 (with the stride in space), 1x1x1, and a short cut."""

    def __init__(self, inputs: int, width: int, *, depth: int, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        outputs, (time, space) = 4 * width, stride
        padding = (depth // 2, 0, 0)
        self.conv1 = nn.Conv3d(inputs, width, (depth, 1, 1), stride=(time, 1, 1), padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, (1, 3, 3), stride=(1, space, space), padding=(0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != (1, 1) or inputs != outputs:
            convolution = nn.Conv3d(inputs, outputs, 1, stride=(time, space, space), bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm3d(outputs))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        shortcut = x_BCTHW if self.downsample is None else self.downsample(x_BCTHW)
        y = torch.relu(self.bn1(self.conv1(x_BCTHW)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + shortcut)


class InflatedNPR(nn.Module):
    """Normalised clips (B, T, 3, h, w) -> log-odds of synthetic (B,). The default is ResNet-50's size.

    Batch statistics stay as they are in training: a batch has few clips.
    """

    def __init__(self, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, STEM, 3, stride=(1, 2, 2), padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(STEM)
        self.maxpool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        inputs = STEM
        for stage, depth in enumerate(blocks):
            width, stride = STEM << stage, (2 if stage == 1 else 1, 2 if stage else 1)
            layer = nn.Sequential()
            for number in range(depth):
                inflated = 1 if number % 2 else 3
                layer.append(Block(inputs, width, depth=inflated, stride=(1, 1) if number else stride))
                inputs = 4 * width
            self.add_module(f"layer{stage + 1}", layer)
        self.stages = len(blocks)
        self.fc1 = nn.Linear(inputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def train(self, mode: bool = True) -> InflatedNPR:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.eval()
        return self

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        y = residual(x_BTCHW.float()).transpose(1, 2) * (2.0 / 3.0)
        y = self.maxpool(torch.relu(self.bn1(self.conv1(y))))
        for stage in range(self.stages):
            y = self.get_submodule(f"layer{stage + 1}")(y)
        log_odds: Tensor = self.fc1(y.mean(dim=(2, 3, 4))).squeeze(1)
        return log_odds


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The numbers of blocks that the keys show. Raises CheckpointError when it is not such a network."""
    stem = state.get("conv1.weight")
    if stem is None or stem.ndim != 5:
        raise CheckpointError("weights: not an inflated NPR: its conv1.weight has five dimensions")
    blocks: list[int] = []
    for stage in count(1):
        numbers = {key.split(".")[1] for key in state if key.startswith(f"layer{stage}.")}
        if not numbers:
            return state, {"blocks": tuple(blocks)}
        blocks.append(len(numbers))
    raise AssertionError


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Inflate a trained NPR: its filters see the middle frame. Stem and first stage rest, later ones go on learning.

    Stages that NPR has not got stay as they are, and so does the last layer where they make it a wider one.
    """
    if not isinstance(network, InflatedNPR):
        raise CheckpointError(f"weights: an NPR is inflated into a 3-D one, not into {type(network).__name__}")
    own = network.state_dict()
    given = {key: inflate(value, own.get(key)) for key, value in state.items()}
    if network.stages > STAGES:
        given["fc1.weight"] = own["fc1.weight"]
    load_strictly(network, {**own, **given}, "the inflated NPR")
    for part in (network.conv1, network.bn1, network.get_submodule("layer1")):
        part.requires_grad_(False)


def inflate(weight: Tensor, like: Tensor | None) -> Tensor:
    """A 2-D filter (O, I, h, w) as one of the shape (O, I, t, h, w) of `like`: itself at t // 2, zero elsewhere."""
    if like is None or weight.ndim != 4 or like.ndim != 5:
        return weight
    inflated = torch.zeros((*weight.shape[:2], like.shape[2], *weight.shape[2:]), dtype=torch.float32)
    inflated[:, :, like.shape[2] // 2] = weight
    return inflated
