"""Whether frames follow each other as evenly as their set allows: von Neumann's ratio at several scales.

von Neumann, "Distribution of the ratio of the mean square successive difference to the variance", 1941: neighbours of a
steady course are nearer to each other than members of it are on the average; of a random order they are as near. Every
number here is such a ratio of distances within one clip, so that how much a clip moves and what it shows cancel, and
with its frames shuffled nothing is left that could tell. Nothing is trained but a head on these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from detectors.heads.head import Head, head_size
from subnet.errors import CheckpointError

CELLS = (1, 8, 32, 64, 128)  # a side of what is compared: brightness, then details from coarse to fine
LAGS = (1, 2, 3)  # frames
LEAST = 1e-7  # of a mean squared difference of pixels 0..1; a clip that stands still is even
NUMBERS = len(LAGS) + 2  # of a scale
SIZE = NUMBERS * (len(CELLS) + 2)


def scales(x_BTCHW: Tensor) -> list[Tensor]:
    """Frames (B, T, 3, h, w) as grey details between two sizes of CELLS each: (B, T, cells)."""
    batch, count = x_BTCHW.shape[:2]
    grey = x_BTCHW.mean(dim=2).flatten(0, 1).unsqueeze(1)
    side = min(grey.shape[-2:])
    if side % CELLS[-1]:
        grey = interpolate(grey, size=(2 * CELLS[-1], 2 * CELLS[-1]), mode="bilinear", antialias=True)
    else:
        grey = grey[..., :side, :side]
    levels = [avg_pool2d(grey, grey.shape[-1] // cells) for cells in CELLS]
    details = [levels[0], *(fine - interpolate(rough, size=fine.shape[-2:]) for rough, fine in pairwise(levels))]
    return [each.reshape(batch, count, -1) for each in details]


def ratios(x_BTF: Tensor) -> Tensor:
    """Of one scale: log of the mean squared distance at each of LAGS, of the mean squared bend, and of the longest step
    to the mean one: the first ones in units of all frames' mean squared distance, the bend in units of the steps'.
    """
    away = (x_BTF.unsqueeze(1) - x_BTF.unsqueeze(2)).square().mean(dim=3)  # (B, T, T)
    count = x_BTF.shape[1]
    whole = away.sum(dim=(1, 2)) / (count * (count - 1)) + LEAST
    steps = away.diagonal(1, 1, 2)
    near = [away.diagonal(lag, 1, 2).mean(dim=1) + LEAST for lag in LAGS]
    bend = x_BTF.diff(n=2, dim=1).square().mean(dim=(1, 2)) + LEAST
    longest = (steps.amax(dim=1) + LEAST) / near[0]
    return torch.stack([*((each / whole).log() for each in near), (bend / near[0]).log(), longest.log()], dim=1)


class TemporalOrder(nn.Module):
    """Clips (B, T, 3, h, w) of pixels 0..1 -> log-odds (B,) of an uneven course, by a fitted head on SIZE numbers."""

    def __init__(self, head: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.head: Head = Head(**(head or {"features": SIZE}))

    def features(self, x_BTCHW: Tensor) -> Tensor:
        """(B, SIZE): the numbers of each scale, and over all scales the highest and the lowest of each."""
        found = torch.stack([ratios(each) for each in scales(x_BTCHW)], dim=1)
        return torch.cat([found.flatten(1), found.amax(dim=1), found.amin(dim=1)], dim=1)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BTCHW))
        return log_odds


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The sizes of the head that the tensors show. Raises CheckpointError where there is none of SIZE numbers."""
    try:
        size = head_size(state)
    except KeyError as error:
        raise CheckpointError(f"weights: not a temporal-order detector: {error} is missing") from error
    if size["features"] != SIZE:
        raise CheckpointError(f"weights: a temporal-order detector decides on {SIZE} numbers, not {size['features']}")
    return state, {"head": size}
