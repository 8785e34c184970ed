"""What can happen to a picture on its way: each operator is a pure function of frames and explicit parameters.

Frames are uint8 RGB (T, H, W, 3) in and out, of the same shape and never changed in place. One set of parameters serves
all frames of a clip; noise alone differs from frame to frame, as it does in a sensor. `subnet.game.augment` draws the
parameters. Compression is real: libjpeg-turbo, libwebp and x264 encode and decode.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from subnet.codec.image import encode_image
from subnet.codec.video import decode_video, encode_video
from subnet.types import Frames, Media

FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)

_SHARPEN = ImageFilter.Kernel((3, 3), (0, -1, 0, -1, 12, -1, 0, -1, 0), scale=8)

Filter = Image.Resampling
BICUBIC = Image.Resampling.BICUBIC


def each(frames: Frames, change: Callable[[Image.Image], Image.Image]) -> Frames:
    """The frames, each changed as a Pillow image."""
    return np.stack([np.asarray(change(Image.fromarray(frame))) for frame in np.ascontiguousarray(frames)])


def rotate(frames: Frames, degrees: float) -> Frames:
    """Turn clockwise about the centre (bilinear), zoomed in just enough that no pixel comes from outside the frame."""
    height, width = frames.shape[1:3]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    zoom = abs(cos) + max(width / height, height / width) * abs(sin)
    a, b = cos / zoom, sin / zoom
    x, y = width / 2, height / 2
    matrix = (a, b, x - a * x - b * y, -b, a, y + b * x - a * y)
    return each(frames, lambda image: image.transform((width, height), Image.Transform.AFFINE, matrix, Filter.BILINEAR))


def crop(frames: Frames, share: float, across: float, down: float, resample: Filter = BICUBIC) -> Frames:
    """Keep `share` of each side (0..1] at the place `across`, `down` (0..1 of the free room), resized back."""
    height, width = frames.shape[1:3]
    left, top = width * (1 - share) * across, height * (1 - share) * down
    box = (left, top, left + width * share, top + height * share)
    return each(frames, lambda image: image.resize((width, height), resample, box=box))


def mirror(frames: Frames) -> Frames:
    """Left to right."""
    return each(frames, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def upend(frames: Frames) -> Frames:
    """Top to bottom."""
    return np.ascontiguousarray(frames[:, ::-1])


def saturation(frames: Frames, factor: float) -> Frames:
    """0 is grey, 1 unchanged, above 1 more vivid: a blend with BT.601 luma."""
    return each(frames, lambda image: Image.blend(image.convert("L").convert("RGB"), image, factor))


def contrast(frames: Frames, factor: float) -> Frames:
    """0 is flat, 1 unchanged: a blend with the clip's mean level, so that a clip does not flicker."""
    level = float(frames[:, ::4, ::4].mean())
    table = _table(np.arange(256.0) * factor + level * (1 - factor))
    return each(frames, lambda image: image.point(table))


def tone(frames: Frames, gamma: float, gains: Sequence[float]) -> Frames:
    """Gamma (1 unchanged, above 1 darker), then a gain for each of red, green and blue."""
    table = _table(_tone_curves(gamma, gains))
    return each(frames, lambda image: image.point(table))


def _tone_curves(gamma: float, gains: Sequence[float]) -> NDArray[np.float64]:
    curve = 255 * (np.arange(256) / 255) ** gamma
    return np.stack([curve * gain for gain in gains])


def _table(curves: NDArray[np.float64]) -> list[int]:
    """One curve of 256 values, or one for each channel, as Pillow wants it."""
    table: list[int] = np.broadcast_to(np.clip(np.rint(curves), 0, 255), (3, 256)).astype(int).ravel().tolist()
    return table


def noise(frames: Frames, sigma: float, rng: np.random.Generator) -> Frames:
    """Additive white Gaussian noise, `sigma` in grey levels of 255; no value lies beyond 4.3 sigma."""
    grain = np.rint(_quantiles() * sigma).astype(np.int16)  # what is added to whole numbers may be whole before
    noisy = grain[rng.integers(0, 65536, frames.shape, np.uint16)]
    noisy += frames
    result: Frames = np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)
    return result


@lru_cache(maxsize=1)
def _quantiles() -> NDArray[np.float64]:
    """The standard normal's 65536 equally likely values: a random 16-bit number picks one, faster than any formula."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((index + 0.5) / 65536) for index in range(65536)])


def blur(frames: Frames, sigma: float) -> Frames:
    """Gaussian blur of standard deviation `sigma` pixels (as three extended box filters)."""
    return each(frames, lambda image: image.filter(ImageFilter.GaussianBlur(sigma)))


def rescale(frames: Frames, factor: float, down: Filter = BICUBIC, up: Filter = BICUBIC) -> Frames:
    """To `factor` of each side and back."""
    height, width = frames.shape[1:3]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    return each(frames, lambda image: image.resize(small, down).resize((width, height), up))


def jpeg(frames: Frames, quality: int) -> Frames:
    """Through a baseline 4:2:0 JPEG of quality 1..100, frame by frame."""
    return np.stack([_jpeg(frame, quality) for frame in np.ascontiguousarray(frames)])


def _jpeg(frame: Frames, quality: int) -> Frames:
    decoded: Frames = simplejpeg.decode_jpeg(encode_image(Media(frame[None]), quality), "RGB")
    return decoded


def webp(frames: Frames, quality: int) -> Frames:
    """Through a lossy WebP of quality 0..100, frame by frame."""

    def through(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=2)
        return Image.open(buffer, formats=("WEBP",)).convert("RGB")

    return each(frames, through)


def h264(frames: Frames, crf: int) -> Frames:
    """Through one H.264 stream (yuv420p) of CRF 0..51; odd sides are padded by their last row or column for it."""
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    decoded = decode_video(encode_video(Media(even, 25.0), crf)).frames
    return np.ascontiguousarray(decoded[:, :height, :width])


def screenshot(frames: Frames, factor: float, gamma: float, gains: Sequence[float], quality: int) -> Frames:
    """As shown in a window and shared again: resized to an odd size, recoloured, sharpened, JPEG, and resized back."""
    height, width = frames.shape[1:3]
    shown = (round(width * factor) | 1, round(height * factor) | 1)
    curves = _table(_tone_curves(gamma, gains))

    def shot(image: Image.Image) -> Image.Image:
        window = image.point(curves).resize(shown, Filter.BILINEAR).filter(_SHARPEN)
        return Image.fromarray(_jpeg(np.asarray(window), quality)).resize((width, height), BICUBIC)

    return each(frames, shot)
