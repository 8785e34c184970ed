"""Layers that the generator and the discriminator share: equalised learning rate, resampling filters, activation.

Weights are kept with unit variance and scaled by 1/sqrt(fan in) when used, so that every layer learns at one rate
(arXiv 1710.10196, section 4.1). Names of parameters are those of the public PyTorch layout of StyleGAN2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = (1.0, 3.0, 3.0, 1.0)  # binomial low-pass filter of every resampling
GAIN = math.sqrt(2.0)  # keeps the variance through a leaky ReLU of slope 0.2


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled so that variance is kept."""
    return functional.leaky_relu(x, 0.2) * GAIN


class PixelNorm(nn.Module):
    """Divides by the root of the mean square over axis 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Activation(nn.Module):
    """A bias per channel and the leaky ReLU: (B, C, ...) in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return leaky(x + self.bias.view(1, -1, *[1] * (x.ndim - 2)))


class EqualLinear(nn.Module):
    """A linear layer whose weight and bias learn at `rate` times the optimiser's rate."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0, activated: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.rate, self.activated = rate / math.sqrt(inputs), rate, activated

    def forward(self, x_BI: Tensor) -> Tensor:
        x_BO = functional.linear(x_BI, self.weight * self.scale, self.bias * self.rate)
        return leaky(x_BO) if self.activated else x_BO


class EqualConv2d(nn.Module):
    """A convolution without bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * kernel**2), stride, padding

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return functional.conv2d(x_BCHW, self.weight * self.scale, stride=self.stride, padding=self.padding)


class Filter(nn.Module):
    """What resampling is filtered with: `kernel`, (4, 4), the outer product of `TAPS` with the sum `gain`."""

    kernel: Tensor

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor(TAPS)
        square = torch.outer(taps, taps)
        self.register_buffer("kernel", gain * square / square.sum())

    def per_channel(self, x_BCHW: Tensor) -> Tensor:
        """The kernel once for each channel of `x_BCHW`, (C, 1, 4, 4)."""
        return self.kernel.to(x_BCHW).expand(x_BCHW.shape[1], 1, *self.kernel.shape)


class Blur(Filter):
    """Low-pass filter at the same resolution; `pad` pixels of zeros on every side, so H + 2 * pad - 3 rows remain."""

    def __init__(self, pad: int, gain: float = 1.0) -> None:
        super().__init__(gain)
        self.pad = pad

    def forward(self, x_BCHW: Tensor) -> Tensor:
        kernel = self.per_channel(x_BCHW).flip(2, 3)
        return functional.conv2d(x_BCHW, kernel, padding=self.pad, groups=x_BCHW.shape[1])


class Upsample(Filter):
    """Twice the side: zeros between pixels, then the filter."""

    def __init__(self) -> None:
        super().__init__(gain=4.0)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        kernel = self.per_channel(x_BCHW)
        return functional.conv_transpose2d(x_BCHW, kernel, stride=2, padding=1, groups=x_BCHW.shape[1])


class Downsample(Filter):
    """Half the side: the filter, then every second pixel."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        kernel = self.per_channel(x_BCHW).flip(2, 3)
        return functional.conv2d(x_BCHW, kernel, stride=2, padding=1, groups=x_BCHW.shape[1])


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels are scaled by a style, and whose outputs are brought back to unit variance.

    Scaling inputs and outputs around one shared convolution equals a convolution with weights of its own for every
    sample (arXiv 1912.04958, section 2.2, equations 1 and 3), without B copies of the weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style: int,
        *,
        demodulate: bool = True,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style, inputs, bias=1.0)
        if upsample:
            self.blur = Blur(pad=1, gain=4.0)
        self.scale, self.padding = 1 / math.sqrt(inputs * kernel**2), kernel // 2
        self.demodulate, self.upsample = demodulate, upsample

    def forward(self, x_BCHW: Tensor, w_BS: Tensor) -> Tensor:
        style_BI = self.modulation(w_BS)
        weight = self.weight[0] * self.scale
        x_BCHW = x_BCHW * style_BI[:, :, None, None]
        if self.upsample:
            x_BCHW = self.blur(functional.conv_transpose2d(x_BCHW, weight.transpose(0, 1), stride=2))
        else:
            x_BCHW = functional.conv2d(x_BCHW, weight, padding=self.padding)
        if self.demodulate:
            power_BO = style_BI.square() @ weight.square().sum((2, 3)).T
            x_BCHW = x_BCHW * torch.rsqrt(power_BO + 1e-8)[:, :, None, None]
        return x_BCHW
