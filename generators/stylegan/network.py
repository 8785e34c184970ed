"""The generator of StyleGAN2 with skip outputs, plain or in wavelets (arXiv 1912.04958 and 2102.06108).

A latent z_BS is mapped to a style w_BS; every convolution is modulated by one of the `latents` styles of a sample,
w_BLS, so that styles can be mixed. Nothing here is random but the weights: noise is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from generators.stylegan.layers import Activation, EqualLinear, ModulatedConv2d, PixelNorm, Upsample
from generators.stylegan.wavelet import Haar, InverseHaar

MAPPING_RATE = 0.01  # how fast the mapping learns, relative to the rest


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network: dimensions of a style, layers of the mapping, channels at 4, 8, 16, ... pixels.

    In wavelets the last of `widths` works at half the side of the picture.
    """

    style: int = 512
    layers: int = 8
    widths: tuple[int, ...] = (512, 512, 512, 512, 512)
    wavelet: bool = False

    @property
    def side(self) -> int:
        """Side of the picture in pixels."""
        return 4 << len(self.widths) - 1 + self.wavelet

    @property
    def latents(self) -> int:
        """How many styles a sample takes: one a convolution, and one for the last output."""
        return 2 * len(self.widths)


class ConstantInput(nn.Module):
    """The learnt 4x4 start of every picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, batch: int) -> Tensor:
        return self.input.expand(batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)


class Noise(nn.Module):
    """Adds noise of a learnt strength, the same to all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCHW: Tensor, noise_B1HW: Tensor) -> Tensor:
        return x_BCHW + self.weight * noise_B1HW


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias and leaky ReLU; at twice the side with `upsample`."""

    def __init__(self, inputs: int, outputs: int, style: int, *, upsample: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, style, upsample=upsample)
        self.noise = Noise()
        self.activate = Activation(outputs)

    def forward(self, x_BCHW: Tensor, w_BS: Tensor, noise_B1HW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.activate(self.noise(self.conv(x_BCHW, w_BS), noise_B1HW))
        return y_BCHW


class ToRGB(nn.Module):
    """Colours, or their wavelet bands, out of features, added to the enlarged output of the block before."""

    def __init__(self, inputs: int, style: int, *, wavelet: bool, first: bool = False) -> None:
        super().__init__()
        outputs = 12 if wavelet else 3
        self.conv = ModulatedConv2d(inputs, outputs, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.wavelet = wavelet
        if not first:
            self.upsample = Upsample()
            if wavelet:
                self.iwt, self.dwt = InverseHaar(), Haar()

    def forward(self, x_BCHW: Tensor, w_BS: Tensor, before: Tensor | None = None) -> Tensor:
        rgb: Tensor = self.conv(x_BCHW, w_BS) + self.bias
        if before is None:
            return rgb
        larger: Tensor = self.dwt(self.upsample(self.iwt(before))) if self.wavelet else self.upsample(before)
        return rgb + larger


class Generator(nn.Module):
    """Latents to pictures x_BCHW, nominally in [-1, 1]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        style, widths = sizes.style, sizes.widths
        mapping = [EqualLinear(style, style, rate=MAPPING_RATE, activated=True) for _ in range(sizes.layers)]
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = ConstantInput(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], style)
        self.to_rgb1 = ToRGB(widths[0], style, wavelet=sizes.wavelet, first=True)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        for narrow, wide in pairwise(widths):
            self.convs.append(StyledConv(narrow, wide, style, upsample=True))
            self.convs.append(StyledConv(wide, wide, style))
            self.to_rgbs.append(ToRGB(wide, style, wavelet=sizes.wavelet))
        for index, side in enumerate(self.noise_sides()):
            self.noises.register_buffer(f"noise_{index}", torch.randn(1, 1, side, side))
        if sizes.wavelet:
            self.iwt = InverseHaar()

    def noise_sides(self) -> list[int]:
        """The side of the noise of each convolution, in pixels."""
        return [2 ** ((index + 5) // 2) for index in range(2 * len(self.sizes.widths) - 1)]

    def draw_noise(self, batch: int, generator: torch.Generator) -> list[Tensor]:
        """Fresh noise for `batch` pictures, the same for the same state of `generator` on every device."""
        place = self.input.input
        return [torch.randn(batch, 1, side, side, generator=generator).to(place) for side in self.noise_sides()]

    def fixed_noise(self) -> list[Tensor]:
        """The noise that is stored with the weights."""
        return list(self.noises.buffers())

    def map(self, z_BS: Tensor) -> Tensor:
        """Styles w_BS of latents z_BS."""
        w_BS: Tensor = self.style(z_BS)
        return w_BS

    def spread(self, w_BS: Tensor) -> Tensor:
        """One style for all convolutions: w_BLS."""
        return w_BS[:, None].expand(-1, self.sizes.latents, -1)

    def forward(self, w_BLS: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        """Pictures of styles, with the stored noise unless other noise is given."""
        noise = self.fixed_noise() if noise is None else noise
        x_BCHW = self.conv1(self.input(len(w_BLS)), w_BLS[:, 0], noise[0])
        rgb: Tensor = self.to_rgb1(x_BCHW, w_BLS[:, 1])
        for index, to_rgb in enumerate(self.to_rgbs):
            at = 2 * index
            x_BCHW = self.convs[at](x_BCHW, w_BLS[:, at + 1], noise[at + 1])
            x_BCHW = self.convs[at + 1](x_BCHW, w_BLS[:, at + 2], noise[at + 2])
            rgb = to_rgb(x_BCHW, w_BLS[:, at + 3], rgb)
        return self.iwt(rgb) if self.sizes.wavelet else rgb
