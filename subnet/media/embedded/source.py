"""The embedded set as a source of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from subnet.codec import image as codec
from subnet.errors import SourceEmpty
from subnet.media import embedded
from subnet.media.cutting import FRAMES, cut, cut_again
from subnet.types import Label, Media, Modality, Provenance, Sample, Split


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
        # the index says how long a clip is, so that only what is shown need be decoded
        start = 0 if modality is Modality.IMAGE else int(rng.integers(item.frames - FRAMES + 1))
        taken = cut(_decoded(item, start), rng, first=start)
        about = {"split": str(self.split), "source": item.source, "category": item.category, **taken.place}
        return Sample(taken.media, label, Provenance(self.name, item.id, item.licence, parameters=about))


def _decoded(item: embedded.Item, start: int) -> Media:
    """A photograph, or the frames of a clip from `start` on, as many as are shown."""
    data = embedded.path(item).read_bytes()
    if item.modality is Modality.IMAGE:
        return codec.decode_image(data)
    return codec.decode_video(data, codec.Limits(frames=start + FRAMES), start)


_ABOUT = ("split", "source", "category", "start", "crop")


def original_of(twin: Sample, name: str = "embedded") -> Sample | None:
    """The photograph or clip, cut as it was, that a synthetic `twin` was made from; None where it is not embedded.

    Pixel by pixel what `EmbeddedSource.draw` gave to the generator: the twin's provenance says item and place.
    """
    about = twin.provenance
    item = next((item for item in embedded.items(twin.modality) if item.id == about.item), None)
    if twin.label is not Label.SYNTHETIC or about.source != name or item is None or "crop" not in about.parameters:
        return None
    start, crop = about.parameters.get("start", 0), about.parameters["crop"]
    if not isinstance(start, int) or not isinstance(crop, list):
        return None
    if not all(isinstance(number, int) and abs(number) < 2**31 for number in (start, *crop)):
        return None
    media = cut_again(_decoded(item, start), {"crop": crop})
    known = {key: about.parameters[key] for key in _ABOUT if key in about.parameters}
    return Sample(media, Label.REAL, Provenance(name, item.id, item.licence, parameters=known))
