"""From an original to what challenges are made of: 256x256, an image or 16 successive frames, cut at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from subnet.codec import image as codec
from subnet.errors import MediaUnreadable
from subnet.types import JSON, Media

FRAMES = 16
SMALLEST = 64  # pixels of the shorter side: less would be enlarged more than fourfold
CONTAINERS = ("mov", "matroska", "avi")
# Of a clip the first frames are enough: up to 1080p.
CLIP_LIMITS = codec.Limits(frames=32, pixels=32 * 1920 * 1088, containers=CONTAINERS)
Decode = Callable[[bytes], Media]


@dataclass(frozen=True, eq=False)
class Cut:
    """What was cut, and where, for its provenance.

    `place` has "crop": [top, left, height, width] in pixels of the upright original, and of a clip "start", its first
    frame there: `cut_again` makes the same media of the original.
    """

    media: Media
    place: Mapping[str, JSON]


def decode_clip(data: bytes) -> Media:
    """The first frames of a clip, as many as CLIP_LIMITS has, in this process: for files that are trusted."""
    return codec.decode_video(data, CLIP_LIMITS)


def cut(media: Media, rng: np.random.Generator, frames: int = FRAMES, first: int = 0) -> Cut:
    """A random crop at 256x256; of a video, `frames` successive ones from a random place.

    `first` is the number of the first frame of `media` in its original. Raises MediaUnreadable for a clip that is
    shorter, and for a picture whose shorter side has less than SMALLEST pixels.
    """
    check_size(media)
    place: dict[str, JSON] = {}
    if media.fps is not None:
        spare = len(media.frames) - frames
        if spare < 0:
            raise MediaUnreadable(f"the clip has {len(media.frames)} frames, {frames} are needed")
        start = int(rng.integers(spare + 1))
        media = Media(media.frames[start : start + frames], media.fps)
        place["start"] = first + start
    box = codec.crop_box(media.frames.shape[1], media.frames.shape[2], rng)
    return Cut(codec.cropped(media, box), {**place, "crop": list(box)})


def check_size(media: Media) -> None:
    """Raises MediaUnreadable where the shorter side has less than SMALLEST pixels."""
    height, width = media.frames.shape[1:3]
    if min(height, width) < SMALLEST:
        factor = codec.TARGET_SIZE[0] / min(height, width)
        raise MediaUnreadable(
            f"{width}x{height} pixels would be enlarged {factor:.3g} times; at least {SMALLEST} a side are needed"
        )


def cut_again(original: Media, place: Mapping[str, Any], frames: int = FRAMES) -> Media:
    """The media that `cut` made of `original`, from the place that it noted."""
    start = place.get("start")
    if start is not None:
        original = Media(original.frames[start : start + frames], original.fps)
    top, left, height, width = place["crop"]
    return codec.cropped(original, (top, left, height, width))
