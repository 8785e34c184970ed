"""The embedded set as a source of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from subnet.codec import image as codec
from subnet.errors import SourceEmpty
from subnet.media import embedded
from subnet.media.cutting import FRAMES, cut
from subnet.types import Label, Modality, Provenance, Sample, Split


class EmbeddedSource:
    """The photos and clips that come with Assay, of one split. All of them are real."""

    def __init__(self, split: Split, name: str = "embedded") -> None:
        self.split, self.name = split, name
        self._items: dict[Modality, Sequence[embedded.Item]] = {}

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """A random photo or clip. Raises SourceEmpty when asked for synthetic media."""
        items = self._items.setdefault(modality, embedded.items(modality, self.split))
        if label is not Label.REAL or not items:
            raise SourceEmpty(f"the embedded {self.split} split has no {label.name.lower()} {modality}")
        item = items[int(rng.integers(len(items)))]
        data = embedded.path(item).read_bytes()
        if modality is Modality.IMAGE:
            taken = cut(codec.decode_image(data), rng)
        else:  # the index says how long the clip is, so that only what is shown need be decoded
            start = int(rng.integers(item.frames - FRAMES + 1))
            taken = cut(codec.decode_video(data, codec.Limits(frames=start + FRAMES), start), rng, first=start)
        about = {"split": str(self.split), "source": item.source, "category": item.category, **taken.place}
        return Sample(taken.media, label, Provenance(self.name, item.id, item.licence, parameters=about))
