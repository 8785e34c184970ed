"""Pictures to train a generator on: those of any folder, decoded when they are drawn, or the embedded photographs."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from subnet.codec.image import FILE_IMAGES, decode_image
from subnet.errors import DataError, MediaError
from subnet.media import embedded
from subnet.media.folder import take_inventory
from subnet.types import Modality, Split

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB
KEPT = 2**28  # bytes of decoded pictures that are kept
log = logging.getLogger(__name__)


class Pictures:
    """The pictures of some files, decoded when they are first drawn and kept, reduced, as far as memory is given.

    Crops of `side` pixels are at least the share `closest` of a picture's short side; nothing larger is kept than they
    need. Files that cannot be read, or are smaller than `side`, are left out with a warning.
    """

    def __init__(self, paths: Collection[Path], side: int, closest: float) -> None:
        self.paths, self.side, self.closest = tuple(paths), side, closest
        self._short = round(side / closest)
        self._kept: dict[int, Pixels] = {}
        self._room = KEPT
        self._broken: set[int] = set()

    def batch(self, count: int, rng: np.random.Generator) -> Pixels:
        """`count` random crops of random pictures, (count, side, side, 3). Raises DataError when no file is usable."""
        return np.stack([self._crop(rng) for _ in range(count)])

    def _crop(self, rng: np.random.Generator) -> Pixels:
        while len(self._broken) < len(self.paths):
            index = int(rng.integers(len(self.paths)))
            try:
                picture = self._read(index)
            except (MediaError, OSError) as error:
                if index not in self._broken:
                    log.warning("left out %s: %s", self.paths[index], error)
                self._broken.add(index)
                continue
            return crop(picture, self.side, self.closest, rng)
        raise DataError(f"data: none of {len(self.paths)} files is a picture of {self.side} pixels or more")

    def _read(self, index: int) -> Pixels:
        if index in self._kept:
            return self._kept[index]
        frame = decode_image(self.paths[index].read_bytes(), FILE_IMAGES).frames[0]
        if min(frame.shape[:2]) < self.side:
            raise MediaError(f"{frame.shape[1]}x{frame.shape[0]} pixels are fewer than the {self.side} of a side")
        frame = reduced(frame, self._short)
        if frame.nbytes <= self._room:
            self._kept[index] = frame
            self._room -= frame.nbytes
        return frame


def reduced(frame: Pixels, short: int) -> Pixels:
    """The picture with a short side of at most `short` pixels."""
    least = min(frame.shape[:2])
    if least <= short:
        return frame
    size = (round(frame.shape[1] * short / least), round(frame.shape[0] * short / least))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def crop(picture: Pixels, side: int, closest: float, rng: np.random.Generator) -> Pixels:
    """A random square between `closest` of the short side and all of it, at `side` pixels, turned around at random."""
    height, width = picture.shape[:2]
    extent = max(min(side, height, width), rng.uniform(closest, 1.0) * min(height, width))
    left, top = rng.uniform(0, width - extent), rng.uniform(0, height - extent)
    box = (left, top, left + extent, top + extent)
    view = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS, box=box))
    return view[:, ::-1] if rng.random() < 0.5 else view


def paths_of(folder: Path) -> list[Path]:
    """The picture files of a folder, at any depth. Raises DataError for none."""
    paths = take_inventory(folder).of(Modality.IMAGE) if folder.is_dir() else []
    if not paths:
        raise DataError(f"data: {folder} is no folder with pictures (JPEG, PNG or WebP) in it")
    return paths


def embedded_paths(categories: Collection[str] = ()) -> list[Path]:
    """The embedded train photographs, of some categories or of all. Raises DataError for none."""
    items = embedded.items(Modality.IMAGE, Split.TRAIN)
    known = sorted({item.category for item in items})
    if odd := sorted(set(categories) - set(known)):
        raise DataError(f"data: no embedded photograph is of {', '.join(odd)}: there are {', '.join(known)}")
    return [embedded.path(item) for item in items if not categories or item.category in categories]
