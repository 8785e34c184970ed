"""The discriminator of StyleGAN2: residual and plain, or with skip inputs and in wavelets. Pictures to logits.

A logit above zero says real. Names of parameters are those of the public PyTorch layout.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from generators.stylegan.layers import Activation, Blur, Downsample, EqualConv2d, EqualLinear
from generators.stylegan.wavelet import Haar, InverseHaar

GROUP = 4  # pictures of a batch that are compared with each other


def layer(inputs: int, outputs: int, kernel: int, *, down: bool = False, activated: bool = True) -> nn.Sequential:
    """A convolution behind its low-pass filter where the side is halved, and before its activation."""
    parts: list[nn.Module] = [Blur(pad=(kernel + 1) // 2)] if down else []
    parts.append(EqualConv2d(inputs, outputs, kernel, stride=1 + down, padding=0 if down else kernel // 2))
    return nn.Sequential(*parts, *([Activation(outputs)] if activated else []))


class Residual(nn.Module):
    """Two convolutions to half the side beside a 1x1 path, of unit variance together."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = layer(inputs, inputs, 3)
        self.conv2 = layer(inputs, outputs, 3, down=True)
        self.skip = layer(inputs, outputs, 1, down=True, activated=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.conv2(self.conv1(x_BCHW)) + self.skip(x_BCHW)
        return y_BCHW / math.sqrt(2)


class Halving(nn.Module):
    """Two convolutions to half the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = layer(inputs, inputs, 3)
        self.conv2 = layer(inputs, outputs, 3, down=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.conv2(self.conv1(x_BCHW))
        return y_BCHW


class FromRGB(nn.Module):
    """Features of wavelet bands, which all but the `first` halve beforehand. Returns the bands and the features."""

    def __init__(self, outputs: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        if not first:
            self.iwt, self.downsample, self.dwt = InverseHaar(), Downsample(), Haar()
        self.conv = layer(12, outputs, 3)

    def forward(self, bands_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        if not self.first:
            bands_BCHW = self.dwt(self.downsample(self.iwt(bands_BCHW)))
        return bands_BCHW, self.conv(bands_BCHW.contiguous(memory_format=torch.channels_last))


class Verdict(nn.Module):
    """What both forms end in: deviation within groups of a batch as one more channel, convolution, two layers."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.final_conv = layer(inputs + 1, width, 3)
        self.final_linear = nn.Sequential(EqualLinear(width * 16, width, activated=True), EqualLinear(width, 1))

    def judge(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, 1) of features at 4x4."""
        batch, _, height, width = x_BCHW.shape
        group = next(size for size in range(min(GROUP, batch), 0, -1) if batch % size == 0)
        variance = x_BCHW.reshape(group, -1, *x_BCHW.shape[1:]).var(0, unbiased=False)
        deviation = torch.sqrt(variance + 1e-8).mean((1, 2, 3))  # one number a group
        channel = deviation.repeat(group)[:, None, None, None].expand(-1, 1, height, width)
        logits_B1: Tensor = self.final_linear(self.final_conv(torch.cat([x_BCHW, channel], 1)).flatten(1))
        return logits_B1


class Discriminator(Verdict):
    """The plain form. `widths` are the channels from the whole side down to 4 pixels."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__(widths[-1], widths[-1])
        blocks = [Residual(wide, narrow) for wide, narrow in pairwise(widths)]
        self.convs = nn.Sequential(layer(3, widths[0], 1), *blocks)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.judge(self.convs(x_BCHW.contiguous(memory_format=torch.channels_last)))


class WaveletDiscriminator(Verdict):
    """The wavelet form. `widths` are the channels from half the side down to 4 pixels."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__(widths[-1], widths[-1])
        self.dwt = Haar()
        self.from_rgbs = nn.ModuleList([FromRGB(width, first=not at) for at, width in enumerate(widths)])
        self.convs = nn.ModuleList([Halving(wide, narrow) for wide, narrow in pairwise(widths)])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        bands, features = self.from_rgbs[0](self.dwt(x_BCHW))
        for from_rgb, conv in zip(self.from_rgbs[1:], self.convs, strict=True):
            bands, more = from_rgb(bands)
            features = conv(features) + more
        return self.judge(features)


def discriminator(widths: tuple[int, ...], *, wavelet: bool) -> Discriminator | WaveletDiscriminator:
    """The discriminator that belongs to a generator of `widths` (channels at 4, 8, 16, ... pixels)."""
    return (WaveletDiscriminator if wavelet else Discriminator)(widths[::-1])
