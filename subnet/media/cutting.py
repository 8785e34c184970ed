"""From an original to what challenges are made of: 256x256, an image or 16 successive frames, cut at random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from subnet.codec import image as codec
from subnet.errors import MediaUnreadable
from subnet.types import Media

FRAMES = 16
CLIP_LIMITS = codec.Limits(frames=32, pixels=32 * 1920 * 1088)  # of a clip the first frames are enough: up to 1080p
Decode = Callable[[bytes], Media]


def decode_clip(data: bytes) -> Media:
    """The first frames of a clip, as many as CLIP_LIMITS has, in this process: for files that are trusted."""
    return codec.decode_video(data, CLIP_LIMITS)


def cut(media: Media, rng: np.random.Generator, frames: int = FRAMES) -> Media:
    """A random crop at 256x256; of a video, `frames` successive ones from a random place.

    Raises MediaUnreadable for a clip that is shorter.
    """
    if media.fps is not None:
        spare = len(media.frames) - frames
        if spare < 0:
            raise MediaUnreadable(f"the clip has {len(media.frames)} frames, {frames} are needed")
        start = int(rng.integers(spare + 1))
        media = Media(media.frames[start : start + frames], media.fps)
    return codec.normalise(media, rng)
