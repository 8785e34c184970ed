"""What cannot be a photograph, by its pixels alone: masks, label maps, flat pictures, depth maps."""

from __future__ import annotations

import numpy as np

from subnet.types import Frames, Media, Modality

COLOURS, SHARE = 8, 0.9  # so few colours, exactly, over so much of a picture: a mask or an index
SMOOTH = 0.97  # of neighbours in a grey picture that differ by a level at most: depth, with neither grain nor texture
SIDE = 256  # pixels looked at, each way


def no_photograph(media: Media) -> str | None:
    """Why an image is none; None for what may be one, and for clips."""
    if media.modality is Modality.VIDEO:
        return None
    frame = media.frames[0]
    down, across = (max(1, size // SIDE) for size in frame.shape[:2])
    few = frame[::down, ::across]
    codes = few.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    _, counts = np.unique(codes, return_counts=True)
    share = float(np.sort(counts)[-COLOURS:].sum() / codes.size)
    if share >= SHARE:
        return f"{share:.0%} of it has {min(COLOURS, len(counts))} colours, as masks and label maps have"
    if _is_depth(frame[: SIDE * 4, : SIDE * 4]):
        return "it is grey and smooth all over, as depth maps are"
    return None


def _is_depth(frame: Frames) -> bool:
    grey = frame[..., 0].astype(np.int16)
    if max(np.abs(frame[..., i].astype(np.int16) - grey).max() for i in (1, 2)) > 2:
        return False
    steps = np.concatenate([np.abs(np.diff(grey, axis=axis)).ravel() for axis in (0, 1)])
    return bool((steps <= 1).mean() >= SMOOTH)
