"""What media looks like, in a few numbers: a hash that survives re-encoding, sharpness, mean colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from subnet.types import Frames, Media


@dataclass(frozen=True)
class Duplicate:
    """Two items that look alike: their names, and in how many of 64 bits their hashes differ."""

    first: str
    second: str
    distance: int


def middle(media: Media) -> NDArray[np.uint8]:
    """The frame in the middle, (H, W, 3)."""
    frame: NDArray[np.uint8] = media.frames[len(media.frames) // 2]
    return frame


def perceptual_hash(media: Media) -> int:
    """64 bits: signs of the low frequencies of a 32x32 DCT against their median (pHash), of the middle frame."""
    import imagehash

    bits = imagehash.phash(Image.fromarray(middle(media))).hash
    return int.from_bytes(np.packbits(bits.astype(np.uint8)).tobytes())


def sharpness(frames: Frames) -> float:
    """Variance of the four-neighbour Laplacian of frames (T, H, W, 3) in grey (0..255, ITU-R 601), mean over frames.

    Pech-Pacheco et al., ICPR 2000. 0 where a side is below 3 pixels.
    """
    grey = frames.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    if min(grey.shape[1:]) < 3:
        return 0.0
    inner = grey[:, 1:-1, 1:-1]
    edges = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] - 4 * inner
    return float(edges.var(axis=(1, 2)).mean())


def mean_colour(media: Media) -> tuple[float, float, float]:
    """Mean red, green and blue over all frames, 0..255."""
    red, green, blue = media.frames.mean(axis=(0, 1, 2))
    return float(red), float(green), float(blue)


def duplicates(
    first: Sequence[tuple[str, Media]], second: Sequence[tuple[str, Media]], distance: int = 4
) -> tuple[Duplicate, ...]:
    """Pairs across two sets whose hashes differ in at most `distance` bits, nearest first: leaks between splits."""
    if not first or not second:
        return ()
    hashes = [np.array([perceptual_hash(media) for _, media in items], dtype=np.uint64) for items in (first, second)]
    found = []
    for index, one in enumerate(hashes[0]):
        bits = np.bitwise_count(hashes[1] ^ one)
        close = np.flatnonzero(bits <= distance).tolist()
        found += [Duplicate(first[index][0], second[j][0], int(bits[j])) for j in close]
    return tuple(sorted(found, key=lambda pair: pair.distance))
