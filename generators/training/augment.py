"""Differentiable augmentation of what a discriminator sees, reals and fakes alike (DiffAugment, arXiv 2006.10738).

With few pictures to learn from a discriminator learns them by heart; behind these changes it cannot, and since the
fakes go through them too, with their gradients, the generator does not learn to draw them.
All functions take and return x_BCHW; what is drawn comes from a `torch.Generator`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

SHIFT = 0.125  # of the side, at most
HOLE = 0.5  # side of the hole, as a share


def _uniform(x_BCHW: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    """One number for each picture, (B, 1, 1, 1)."""
    drawn = torch.rand(len(x_BCHW), 1, 1, 1, generator=generator)
    return (low + (high - low) * drawn).to(x_BCHW)


def colour(x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness by up to a half either way, saturation 0 to 2 times, contrast 0.5 to 1.5 times."""
    x_BCHW = x_BCHW + _uniform(x_BCHW, generator, -0.5, 0.5)
    grey = x_BCHW.mean(1, keepdim=True)
    x_BCHW = grey + (x_BCHW - grey) * _uniform(x_BCHW, generator, 0.0, 2.0)
    mean = x_BCHW.mean((1, 2, 3), keepdim=True)
    return mean + (x_BCHW - mean) * _uniform(x_BCHW, generator, 0.5, 1.5)


def _starts(batch: int, spare: int, generator: torch.Generator) -> list[int]:
    drawn: list[int] = torch.randint(0, spare + 1, (batch,), generator=generator).tolist()
    return drawn


def translation(x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Moved by up to `SHIFT` of the side in both directions; what comes in from outside is zero."""
    batch, _, height, width = x_BCHW.shape
    down, across = round(height * SHIFT), round(width * SHIFT)
    padded = torch.nn.functional.pad(x_BCHW, (across, across, down, down))
    tops, lefts = _starts(batch, 2 * down, generator), _starts(batch, 2 * across, generator)
    places = enumerate(zip(tops, lefts, strict=True))
    return torch.stack([padded[at, :, top : top + height, left : left + width] for at, (top, left) in places])


def cutout(x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """A square hole of `HOLE` of the side, its centre anywhere in the picture, set to zero."""
    batch, _, height, width = x_BCHW.shape
    tall, wide = round(height * HOLE), round(width * HOLE)
    mask = torch.ones(batch, 1, height, width, dtype=x_BCHW.dtype, device=x_BCHW.device)
    tops, lefts = _starts(batch, height, generator), _starts(batch, width, generator)
    for at, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        rows = slice(max(0, top - tall // 2), top - tall // 2 + tall)
        mask[at, :, rows, max(0, left - wide // 2) : left - wide // 2 + wide] = 0
    return x_BCHW * mask


STEPS: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}


def augment(x_BCHW: Tensor, generator: torch.Generator, steps: Sequence[str] = tuple(STEPS)) -> Tensor:
    """The steps named, one after the other."""
    for step in steps:
        x_BCHW = STEPS[step](x_BCHW, generator)
    return x_BCHW
