"""Random state dicts as public training scripts write them, made from a list of keys and shapes alone."""

from __future__ import annotations

import torch
from torch import Tensor

BANDS = ("ll", "lh", "hl", "hh")


def modulated(key: str, inputs: int, outputs: int, kernel: int, style: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a modulated convolution."""
    return {
        f"{key}.weight": (1, outputs, inputs, kernel, kernel),
        f"{key}.modulation.weight": (inputs, style),
        f"{key}.modulation.bias": (inputs,),
    }


def styled(key: str, inputs: int, outputs: int, style: int, *, up: bool) -> dict[str, tuple[int, ...]]:
    """Shapes of a convolution with noise and activation."""
    shapes = modulated(f"{key}.conv", inputs, outputs, 3, style)
    if up:
        shapes[f"{key}.conv.blur.kernel"] = (4, 4)
    return shapes | {f"{key}.noise.weight": (1,), f"{key}.activate.bias": (outputs,)}


def to_rgb(key: str, inputs: int, style: int, *, wavelet: bool, first: bool) -> dict[str, tuple[int, ...]]:
    """Shapes of an output of colours or bands."""
    outputs = 12 if wavelet else 3
    shapes = modulated(f"{key}.conv", inputs, outputs, 1, style) | {f"{key}.bias": (1, outputs, 1, 1)}
    if not first:
        shapes[f"{key}.upsample.kernel"] = (4, 4)
        if wavelet:
            shapes |= {f"{key}.{part}.{band}": (2, 2) for part in ("iwt", "dwt") for band in BANDS}
    return shapes


def generator_state(style: int, layers: int, widths: tuple[int, ...], *, wavelet: bool) -> dict[str, Tensor]:
    """Random tensors under the keys of a generator."""
    shapes: dict[str, tuple[int, ...]] = {"input.input": (1, widths[0], 4, 4)}
    for at in range(1, layers + 1):
        shapes |= {f"style.{at}.weight": (style, style), f"style.{at}.bias": (style,)}
    shapes |= styled("conv1", widths[0], widths[0], style, up=False)
    shapes |= to_rgb("to_rgb1", widths[0], style, wavelet=wavelet, first=True)
    for at in range(len(widths) - 1):
        shapes |= styled(f"convs.{2 * at}", widths[at], widths[at + 1], style, up=True)
        shapes |= styled(f"convs.{2 * at + 1}", widths[at + 1], widths[at + 1], style, up=False)
        shapes |= to_rgb(f"to_rgbs.{at}", widths[at + 1], style, wavelet=wavelet, first=False)
    sides = [4] + [side for at in range(1, len(widths)) for side in (4 * 2**at, 4 * 2**at)]
    shapes |= {f"noises.noise_{at}": (1, 1, side, side) for at, side in enumerate(sides)}
    if wavelet:
        shapes |= {f"iwt.{band}": (2, 2) for band in BANDS}
    chance = torch.Generator().manual_seed(3)
    return {key: torch.randn(shape, generator=chance) for key, shape in shapes.items()}
