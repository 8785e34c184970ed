"""Photographs as files of every kind, with and without traces and tags."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image

from subnet.codec import image as codec
from subnet.media import embedded
from subnet.types import Frames, Modality, Split


@cache
def photograph(number: int = 0) -> Frames:
    """One of the largest embedded photographs of the test split, each of another scene, (H, W, 3)."""
    by_source = {item.source: item for item in embedded.items(Modality.IMAGE, Split.TEST)}
    item = sorted(by_source.values(), key=lambda item: -item.width * item.height)[number]
    return codec.decode_image(embedded.path(item).read_bytes()).frames[0]


def fresh(frame: Frames) -> Frames:
    """A photograph without a history: means of 2 x 2 pixels keep neither a grid of blocks nor a raster's period."""
    height, width = (side // 2 * 2 for side in frame.shape[:2])
    whole = frame[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    return np.rint(whole).astype(np.uint8)


def saved(frame: Frames, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format, **options)
    return buffer.getvalue()


def jpeg(frame: Frames, *qualities: int) -> bytes:
    """Saved as JPEG once for each quality, one after the other."""
    data = b""
    for quality in qualities:
        data = saved(frame, quality=quality)
        frame = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    return data
