"""A video detector out of an image detector: the mean log-odds over evenly spaced frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from detectors.preprocess import prepare
from detectors.rows import Preprocess
from subnet.types import Media

FRAMES = 8


def even_spacing(count: int, wanted: int) -> list[int]:
    """At most `wanted` distinct frame numbers, evenly spaced over 0 .. count-1, the middle one when one is wanted."""
    if wanted >= count:
        return list(range(count))
    return [int(position) for position in (np.arange(wanted) + 0.5) * count / wanted]


def frame_views(media: Media, preprocess: Preprocess, device: torch.device) -> Tensor:
    """Up to eight frames as separate images: (V, 3, H, W)."""
    return prepare(media.frames[even_spacing(len(media.frames), FRAMES)], preprocess, device)
