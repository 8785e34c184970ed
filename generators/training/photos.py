"""Photographs of the embedded set as arrays, what is said of them, and random crops of them to train on.

Crops are taken the way challenges are: a random square of a random scale, then a Lanczos resize. A training crop of
`size` pixels is a random part of such a 256-pixel view.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from subnet.errors import DataError
from subnet.media import embedded
from subnet.types import Modality, Split

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB
VIEW = 256  # side of what a challenge shows


def read(split: Split) -> list[Pixels]:
    """All photographs of one split at their stored size, in the order of the index. Raises DataError for none."""
    photos = []
    for item in embedded.items(Modality.IMAGE, split):
        with Image.open(embedded.path(item)) as image:
            photos.append(np.asarray(image.convert("RGB")))
    if not photos:
        raise DataError(f"the embedded set has no photographs in split {split}")
    return photos


def captions(split: Split) -> list[str]:
    """What is said of each photograph: its category, and the words of its title that are not numbers."""

    def words(title: str) -> str:
        return " ".join([word for word in title.replace("_", " ").split() if word.isalpha() and len(word) > 2][:8])

    items = embedded.items(Modality.IMAGE, split)
    return [f"a photograph, {item.category}, {words(item.title)}".rstrip(" ,").lower() for item in items]


def crop(photo: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """`size` x `size` pixels of a view of random scale: between the photograph's own scale and its whole short side."""
    short = min(photo.shape[:2])
    scale = rng.uniform(min(VIEW, short), short) / VIEW  # stored pixels per view pixel
    side = min(size * scale, short)
    top = rng.uniform(0, photo.shape[0] - side)
    left = rng.uniform(0, photo.shape[1] - side)
    box = (left, top, left + side, top + side)
    view = Image.fromarray(photo).resize((size, size), Image.Resampling.LANCZOS, box=box)
    result = np.asarray(view)
    return result[:, ::-1] if rng.random() < 0.5 else result


def centre(photo: Pixels, size: int = VIEW) -> Pixels:
    """The largest centred square, resized to `size`: what validation looks at."""
    height, width = photo.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.LANCZOS, box=box))


def batch(photos: Sequence[Pixels], count: int, size: int, rng: np.random.Generator) -> Pixels:
    """`count` random crops of random photographs, (count, size, size, 3)."""
    picks = rng.integers(0, len(photos), count)
    return np.stack([crop(photos[pick], size, rng) for pick in picks])
