"""`detectors.preprocess` without torch: uint8 frames to a network's input, equal to it within 1e-5."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.pixels.sizes import target, torchvision_crop, torchvision_square
from detectors.resampling import resample
from detectors.rows import Preprocess
from subnet.types import Frames

Array = NDArray[np.float32]


def prepare(frames: Frames, preprocess: Preprocess) -> Array:
    """uint8 (T, H, W, 3) -> float32 (T, 3, size, size); with the rule "tiles" the canvas (T, 3, 256, 256)."""
    square = preprocess.rule in ("centre", "tiles")
    short = preprocess.rule == "short-edge" and not preprocess.crop
    if preprocess.resample == "torch-bilinear":
        x = np.moveaxis(frames, -1, 1)
        x = centre_square(x) if square else x
        x = resize(x, *target(x.shape[-2], x.shape[-1], preprocess))
        x = centre_square(x) if short else x
    else:
        frames = torchvision_square(frames) if square else frames
        frames = resample(frames, *target(frames.shape[1], frames.shape[2], preprocess), preprocess.resample)
        x = np.moveaxis(torchvision_square(frames) if short else frames, -1, 1)
    return normalise(centre_crop(x, preprocess.crop) if preprocess.crop else x, preprocess)


def normalise(x_TCHW: NDArray[Any], preprocess: Preprocess) -> Array:
    """Pixels 0..255 of shape (..., 3, H, W) -> (x / 255 - mean) / std in float32, contiguous."""
    mean, std = (np.array(each, np.float32).reshape(3, 1, 1) for each in (preprocess.mean, preprocess.std))
    return np.ascontiguousarray((x_TCHW.astype(np.float32) / np.float32(255) - mean) / std)


def centre_square(x: NDArray[Any]) -> NDArray[Any]:
    """The largest centred square of (..., H, W)."""
    height, width = x.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return x[..., top : top + side, left : left + side]


def centre_crop(x: NDArray[Any], side: int) -> NDArray[Any]:
    """The centred square of `side` of (..., H, W), with black around pictures that are smaller, as torchvision does."""
    rows, columns = (torchvision_crop(length, side) for length in x.shape[-2:])
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [rows[:2], columns[:2]])
    return padded[..., rows[2] : rows[2] + side, columns[2] : columns[2] + side]


def resize(x: NDArray[Any], height: int, width: int, *, antialias: bool = True) -> NDArray[Any]:
    """(..., H, W) bilinearly, as torch does it; the very same array when it already has this size."""
    if x.shape[-2:] == (height, width):
        return x
    down, across = (taps(size, wanted, antialias) for size, wanted in zip(x.shape[-2:], (height, width), strict=True))
    resized: Array = down @ (x.astype(np.float32) @ across.T)
    return resized


def taps(size: int, wanted: int, antialias: bool) -> Array:
    """The weights of `size` pixels for each of `wanted` ones: (wanted, size), rows of sum 1.

    A triangle around each place, as wide as the pixels are shrunk where `antialias`; pixels beyond the border are those
    at it, or with `antialias` count for nothing.
    """
    scale = np.float32(size / wanted)  # in single precision throughout, as torch's places and weights are
    place, one = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * scale, np.float32(1)
    pixels = np.arange(size, dtype=np.float32)
    if not antialias:
        first = np.clip(place - np.float32(0.5), 0, size - 1)
        near: Array = np.maximum(0, one - np.abs(first[:, None] - pixels))
        return near
    reach = max(scale, one)
    weights = np.maximum(0, one - np.abs((pixels - place[:, None] + np.float32(0.5)) * (one / reach)))
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares


def tiles(x_TCHW: Array, size: int) -> Array:
    """The four corner squares of side `size`: (T, 3, H, W) -> (4, T, 3, size, size)."""
    height, width = x_TCHW.shape[-2:]
    corners = [(top, left) for top in (0, height - size) for left in (0, width - size)]
    return np.stack([x_TCHW[..., top : top + size, left : left + size] for top, left in corners])
