"""Resizing of uint8 pictures as the libraries do it that published detectors were made with: each to its last bit.

Whoever feeds a network pixels that were resized otherwise gets another answer: up to 7.7 in the log-odds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.rows import Resample
from subnet.types import Frames

Picture = NDArray[np.uint8]  # (H, W, 3)
SHARPNESS = -0.75  # the cubic's free parameter, as OpenCV sets it; Keys 1981 has -0.5


def resample(frames: Frames, height: int, width: int, name: Resample) -> Frames:
    """uint8 (T, H, W, 3) -> uint8 (T, height, width, 3); the very same frames when they already have this size."""
    if frames.shape[1:3] == (height, width):
        return frames
    return np.stack([FILTERS[name](frame, height, width) for frame in np.ascontiguousarray(frames)])


def pillow(kind: Image.Resampling) -> Callable[[Picture, int, int], Picture]:
    """Pillow's resize with this filter: anti-aliased, in fixed point."""

    def resize(picture: Picture, height: int, width: int) -> Picture:
        return np.asarray(Image.fromarray(picture).resize((width, height), kind))

    return resize


def opencv_cubic(picture: Picture, height: int, width: int) -> Picture:
    """OpenCV's `resize(..., INTER_CUBIC)`: four taps whatever the scale, no anti-aliasing, the border repeated.

    As its wheels for x86 compute pictures of four pixels and more: in float32, across before down, with one rounding at
    the end. The order of the sums decides where a value lies just at a half, once in 10^5 values; it was measured, as
    that part of OpenCV is not published. Builds without it round the taps to 1/2048: one value in 25 differs by one.
    """
    columns, across = _taps(picture.shape[1], width)
    rows, down = _taps(picture.shape[0], height)
    first, second, third, fourth = picture[:, columns.T].swapaxes(0, 1) * across.T[:, None, :, None]
    narrow = _plus(first, _single(fourth)) + _plus(second, _single(third))
    first, second, third, fourth = narrow[rows.T] * down.T[:, :, None, None]
    small = _plus(first, _single(second)) + _plus(third, _single(fourth))
    rounded: Picture = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    return rounded


def _single(x: NDArray[np.float64]) -> NDArray[np.float32]:
    return x.astype(np.float32)


def _plus(product: NDArray[np.float64], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A fused multiply-add: the exact product plus x, rounded once."""
    return _single(product + x)


def _taps(size: int, wanted: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each of `wanted` places the four pixels of `size` around it, and their weights: two arrays (wanted, 4)."""
    place = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
    first = np.floor(place)
    x = place - first
    distance = np.stack([x + 1, x, 1 - x], axis=1)
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance**2 + 1
    far = ((SHARPNESS * distance - 5 * SHARPNESS) * distance + 8 * SHARPNESS) * distance - 4 * SHARPNESS
    weights = np.stack([far[:, 0], near[:, 1], near[:, 2], 1 - far[:, 0] - near[:, 1] - near[:, 2]], axis=1)
    pixels = np.clip(first[:, None].astype(np.intp) + np.arange(-1, 3), 0, size - 1)
    return pixels, weights.astype(np.float32).astype(np.float64)  # single precision; products of it are exact in double


FILTERS: dict[Resample, Callable[[Picture, int, int], Picture]] = {
    "pillow-bilinear": pillow(Image.Resampling.BILINEAR),
    "pillow-bicubic": pillow(Image.Resampling.BICUBIC),
    "pillow-lanczos": pillow(Image.Resampling.LANCZOS),
    "opencv-cubic": opencv_cubic,
}
