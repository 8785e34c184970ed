"""All pictures of the exam, in their order. What each is follows from its name alone: the same on every machine.

Photographs are those of the embedded test split, one crop of each source, so that pictures of one kind are independent
of one another; the same ones are in all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from subnet.codec.image import decode_image
from subnet.game.sampling import derive
from subnet.media import embedded, everyday
from subnet.media.everyday import EVERYDAY, RESAVED
from subnet.media.everyday.changes import CHANGES, RESAVINGS, collage, resaved
from subnet.media.everyday.pages import PAGES, page
from subnet.types import Frames, Modality, Split


@dataclass(frozen=True)
class Counts:
    """How many photographs are changed in each way, collages of four of them, pages of each kind, and how many
    photographs are saved again at every size and quality. The files are as many as there are."""

    photographs: int = 40
    collages: int = 10
    pages: int = 20
    resaved: int = 30

    @property
    def total(self) -> int:
        made = len(CHANGES) * self.photographs + self.collages + len(PAGES) * self.pages
        return made + self.resaved * len(RESAVINGS) + len(everyday.items())


ALL = Counts()


@dataclass(frozen=True)
class Picture:
    """One picture: kind, name of its own, the file, what it shows (the same for pictures of one photograph), rights."""

    kind: str
    name: str
    data: bytes
    item: str
    licence: str


def photographs(count: int) -> tuple[embedded.Item, ...]:
    """The first crop of each test photograph whose shorter side has 256 pixels, by the hash of its source."""
    first: dict[str, embedded.Item] = {}
    for item in embedded.items(Modality.IMAGE, Split.TEST):
        if min(item.width, item.height) >= 256:
            first.setdefault(item.source, item)
    return tuple(sorted(first.values(), key=lambda item: derive(item.source))[:count])


def pictures(counts: Counts = ALL) -> Iterator[Picture]:
    """Changed photographs, collages, files, pages, and photographs at several sizes and qualities."""
    chosen = photographs(counts.photographs)
    pixels = [_pixels(item) for item in chosen]
    for kind, change in CHANGES.items():
        for item, photo in zip(chosen, pixels, strict=True):
            yield Picture(kind, item.id, change(photo, _chance(kind, item.id)), item.id, item.licence)
    for number in range(counts.collages):
        part = slice(4 * number, 4 * number + 4)
        data = collage(pixels[part], _chance("collage", str(number)))
        yield Picture("collage", f"{number:02}", data, chosen[part][0].id, _licences(chosen[part]))
    for item in everyday.items():
        yield Picture(item.category, item.id, everyday.path(item).read_bytes(), f"everyday {item.source}", item.licence)
    for kind in PAGES:
        for number in range(counts.pages):
            name = f"{number:02}"
            yield Picture(kind, name, page(kind, _chance(kind, name)), f"everyday {kind} {name}", "MIT")
    for item, photo in list(zip(chosen, pixels, strict=True))[: counts.resaved]:
        for side, quality in RESAVINGS:
            name = f"{item.id}-{side}-{quality}"
            yield Picture(RESAVED, name, resaved(photo, side, quality), item.id, item.licence)


def _pixels(item: embedded.Item) -> Frames:
    frame: Frames = decode_image(embedded.path(item).read_bytes()).frames[0]
    return frame


def _chance(kind: str, name: str) -> np.random.Generator:
    return np.random.default_rng(derive(EVERYDAY, kind, name))


def _licences(items: Sequence[embedded.Item]) -> str:
    return ", ".join(dict.fromkeys(item.licence for item in items))
