"""A video detector out of an image detector: the mean log-odds over evenly spaced frames."""

from __future__ import annotations

import torch
from torch import Tensor

from detectors.pixels.clips import even_spacing
from detectors.preprocess import prepare
from detectors.rows import Preprocess
from subnet.types import Media

FRAMES = 8


def frame_views(media: Media, preprocess: Preprocess, device: torch.device) -> Tensor:
    """Up to eight frames as separate images: (V, 3, H, W)."""
    return prepare(media.frames[even_spacing(len(media.frames), FRAMES)], preprocess, device)
