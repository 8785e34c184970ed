"""What sizes pictures have on their way to a network."""

from __future__ import annotations

from detectors.rows import Preprocess
from subnet.types import Frames

CANVAS = 256  # what "tiles" are cut from: the side of every challenge


def target(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """Height and width that a picture of this height and width is resized to."""
    size, short = preprocess.size, min(height, width)
    if preprocess.rule == "keep":
        return height, width
    if preprocess.rule == "short-edge":
        return size * height // short, size * width // short
    side = max(CANVAS, size) if preprocess.rule == "tiles" else size
    return side, side


def torchvision_square(frames: Frames) -> Frames:
    """The largest centred square of (T, H, W, 3) where torchvision's `CenterCrop` puts it: halves to the even pixel."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    return frames[:, top : top + side, left : left + side]


def torchvision_crop(length: int, side: int) -> tuple[int, int, int]:
    """Black pixels before and after a line of `length`, and where `side` of all these begin in `CenterCrop`."""
    rest = max(0, side - length)
    return rest // 2, rest - rest // 2, round((length + rest - side) / 2)
