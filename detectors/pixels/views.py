"""What a network is shown of an item, as arrays: one function for each that a row of `detectors.families` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from detectors.pixels.arrays import Array, centre_square, prepare, resize, tiles
from detectors.pixels.clips import BLANK, CLIP, clip_frames, even_spacing
from detectors.rows import Preprocess
from subnet.errors import MediaUnreadable
from subnet.types import Media

EIGHT = 8  # frames of `detectors.npr.frames` and of `detectors.temporal.views`


def image_view(media: Media, preprocess: Preprocess) -> Array:
    """The one frame of an image: (1, 3, H, W). Raises MediaUnreadable for a video."""
    if len(media.frames) != 1:
        raise MediaUnreadable(f"an image detector was given {len(media.frames)} frames; use a video detector")
    return prepare(media.frames, preprocess)


def centre_view(media: Media, preprocess: Preprocess) -> Array:
    """The centre of an image: (1, 3, size, size), as `detectors.vit_cam.network` cuts it."""
    picture = centre_square(image_view(media, preprocess))
    inset = (picture.shape[-1] - preprocess.size) // 2
    return picture[..., inset : inset + preprocess.size, inset : inset + preprocess.size]


def frame_views(media: Media, preprocess: Preprocess) -> Array:
    """Up to eight frames as separate images: (V, 3, H, W)."""
    return prepare(media.frames[even_spacing(len(media.frames), EIGHT)], preprocess)


def clip_views(media: Media, preprocess: Preprocess, length: int = CLIP) -> Array:
    """The clips of a video that are judged: (V, `length`, 3, h, w), as `detectors.tall.network` cuts them."""
    clips = clip_frames(len(media.frames), preprocess.clips, length)
    needed = sorted({frame for clip in clips for frame in clip} - {BLANK})
    frames = prepare(media.frames[needed], preprocess)
    if preprocess.frame_side:
        side = preprocess.frame_side
        frames = resize(frames, side, side, antialias=False).astype(np.float32, copy=False)
    frames = np.concatenate([frames, np.zeros_like(frames[:1])])  # the last one is BLANK
    places = {frame: place for place, frame in enumerate([*needed, BLANK])}
    views = np.stack([frames[[places[frame] for frame in clip]] for clip in clips])
    if preprocess.rule == "tiles":
        return np.concatenate([tiles(clip, preprocess.size) for clip in views])
    return views


VIEWS: Mapping[str, Callable[[Media, Preprocess], Array]] = {
    "detectors.torch_detector:image_view": image_view,
    "detectors.vit_cam.network:centre_view": centre_view,
    "detectors.npr.frames:frame_views": frame_views,
    "detectors.tall.network:clip_views": clip_views,
    "detectors.temporal.views:eight_views": partial(clip_views, length=EIGHT),
}
