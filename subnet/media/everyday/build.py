"""Collects the files of the everyday pictures again from the packages that carry them.

    python -m subnet.media.everyday.build DOWNLOADS

`selection.csv` says what is taken, chosen from contact sheets; `subnet.media.embedded.build` tells what DOWNLOADS
holds. Transparent pictures stand on white. Every file is reduced and written by the same encoder.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from subnet.media.embedded import Item
from subnet.media.embedded.build import encode_photo, read_choices, read_members, store, write_index
from subnet.media.everyday import HERE
from subnet.types import Modality, Split

SHORT_SIDE = 320  # pixels; pictures are only ever reduced
QUALITY = 88


def on_white(data: bytes) -> Image.Image:
    """The picture in RGB, on white where it is transparent."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    return ground.convert("RGB")


def build(downloads: Path) -> Iterator[Item]:
    """Writes every file of `selection.csv` and yields its row."""
    for choice, name, data, credit in read_members(downloads, read_choices(HERE / "selection.csv")):
        encoded, (width, height) = encode_photo(on_white(data), SHORT_SIDE, QUALITY)
        item = Item(
            id=name, file=f"files/{name}.jpg", modality=Modality.IMAGE, source=choice.source, category=choice.category,
            split=Split.TEST, width=width, height=height, frames=1, fps=None, title=credit.title, author=credit.author,
            licence=credit.licence, origin=credit.origin, sha256="",
        )  # fmt: skip
        yield store(item, encoded, HERE)


def main() -> None:
    """Reads the downloads folder from the command line and builds all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("downloads", type=Path, help="folder with the packages, as they were downloaded")
    downloads = parser.parse_args().downloads
    (HERE / "files").mkdir(exist_ok=True)
    write_index(list(build(downloads)), HERE)


if __name__ == "__main__":
    main()
