"""What the detectors of this room see of a video: eight neighbouring frames."""

from __future__ import annotations

import torch
from torch import Tensor

from detectors.rows import Preprocess
from detectors.tall.network import clip_views
from subnet.types import Media

FRAMES = 8


def eight_views(media: Media, preprocess: Preprocess, device: torch.device) -> Tensor:
    """Eight frames at a time, as (V, 8, 3, h, w); a shorter video repeats its last one (`clip_views`)."""
    return clip_views(media, preprocess, device, FRAMES)
