"""Which frames of a video a detector sees, by number."""

from __future__ import annotations

import numpy as np

from detectors.rows import Clips

CLIP = 4  # frames in one picture of TALL
SPREAD = 8  # clips of a video by the protocol of TALL's authors
BLANK = -1


def even_spacing(count: int, wanted: int) -> list[int]:
    """At most `wanted` distinct frame numbers, evenly spaced over 0 .. count-1, the middle one when one is wanted."""
    if wanted >= count:
        return list(range(count))
    return [int(position) for position in (np.arange(wanted) + 0.5) * count / wanted]


def clip_starts(count: int, length: int = CLIP) -> list[int]:
    """Where clips of `length` begin so that every frame is in one; the last may overlap its neighbour."""
    if count <= length:
        return [0]
    return [*range(0, count - length, length), count - length]


def clip_frames(count: int, clips: Clips = "cover", length: int = CLIP) -> list[list[int]]:
    """The frame numbers of each clip of `length`, out of `count` frames; BLANK is a frame of zeros.

    "cover": every frame is in a clip, and a video of fewer than that repeats its last one. "spread": eight clips that
    begin evenly spaced, as TALL4Deepfake tests; short videos begin anew. "first": the first ones, as BitMind asks;
    short videos end in zeros. "middle": one clip from the middle.
    """
    if clips == "first":
        return [[frame if frame < count else BLANK for frame in range(length)]]
    if clips == "middle":
        start = max(0, count - length) // 2
        return [[min(start + frame, count - 1) for frame in range(length)]]
    if clips == "spread":
        starts = np.linspace(0, max(0, count - length), SPREAD, dtype=int).tolist()
        return [[(start + frame) % count for frame in range(length)] for start in starts]
    return [[min(start + frame, count - 1) for frame in range(length)] for start in clip_starts(count, length)]
