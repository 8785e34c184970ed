"""Clips out of photographs: a camera that moves over a still picture.

The embedded set has few clips and hundreds of photographs. A network that is to learn what generators leave in video
needs more content than a dozen clips have; these give it some, for training and for validation, never for challenges.
"""

from __future__ import annotations

import numpy as np

from subnet.codec import image as codec
from subnet.errors import SourceEmpty
from subnet.media import embedded
from subnet.media.cutting import FRAMES
from subnet.types import Label, Media, Modality, Provenance, Sample, Split

SIDE = 256  # of what the camera sees, pixels
ROOM = 32  # pixels that a photograph must have beyond that, both ways
FASTEST = 8  # pixels a frame, in each direction
FPS = 25.0


def pan(photo: Media, rng: np.random.Generator) -> Media:
    """A window of 256x256 in steady motion over an image: 16 frames, whole pixels, so that nothing is resampled.

    Raises ValueError for an image that leaves the window less than 32 pixels each way.
    """
    height, width = photo.frames.shape[1:3]
    if min(height, width) < SIDE + ROOM:
        raise ValueError(f"a pan needs {SIDE + ROOM} pixels each way, the image has {width}x{height}")
    places = []
    for room in (height - SIDE, width - SIDE):
        travel = int(rng.integers(min(room, FASTEST * (FRAMES - 1)) + 1))
        first = int(rng.integers(room - travel + 1))
        way = np.rint(np.linspace(first, first + travel, FRAMES)).astype(int)
        places.append(way if rng.random() < 0.5 else way[::-1])
    picture = photo.frames[0]
    views = [picture[top : top + SIDE, left : left + SIDE] for top, left in zip(*places, strict=True)]
    return Media(np.stack(views), FPS)


class PannedPhotos:
    """The source of pans over the embedded photographs of one split that are large enough."""

    def __init__(self, split: Split, name: str = "embedded") -> None:
        self.name = name
        photos = embedded.items(Modality.IMAGE, split)
        self._photos = [photo for photo in photos if min(photo.width, photo.height) >= SIDE + ROOM]

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """A pan over a random photograph. Raises SourceEmpty when asked for anything but real video."""
        if modality is not Modality.VIDEO or label is not Label.REAL or not self._photos:
            raise SourceEmpty(f"photographs give real video, no {label.name.lower()} {modality}")
        photo = self._photos[int(rng.integers(len(self._photos)))]
        clip = pan(codec.decode_image(embedded.path(photo).read_bytes()), rng)
        return Sample(clip, label, Provenance(self.name, photo.id, photo.licence, parameters={"pan": True}))
