"""A contact sheet: pictures in a grid, each with its caption, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from subnet.types import Frames, Media, Modality

SIDE = 256  # of the picture of an image, pixels
STRIP = 4  # frames of a clip


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture and the lines of its caption, in the colour `ink`."""

    picture: Image.Image
    lines: tuple[str, ...] = ()
    ink: str = "#3c3c3c"


@dataclass(frozen=True)
class Layout:
    """Everything in pixels. `caption` is the height kept for a caption, below the picture or, centred, `above` it.

    `left` and `top` are the margins before the first tile, as wide as the gap between tiles where they are None.
    """

    gap: int = 8
    caption: int = 20
    above: bool = False
    font: float = 12
    line: int = 14  # from one line of a caption to the next
    left: int | None = None
    top: int | None = None
    ground: str = "#fafafa"


def contact_sheet(tiles: Sequence[Tile], columns: int, layout: Layout = Layout()) -> Image.Image:
    """Tiles row by row in cells as large as the largest picture. Raises ValueError when there are none."""
    if not tiles:
        raise ValueError("a contact sheet needs at least one item")
    width, height = (max(side) for side in zip(*(tile.picture.size for tile in tiles), strict=True))
    left = layout.gap if layout.left is None else layout.left
    top = layout.gap if layout.top is None else layout.top
    across, down = width + layout.gap, height + layout.caption + layout.gap
    sheet = Image.new("RGB", (left + columns * across, top + -(-len(tiles) // columns) * down), layout.ground)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(layout.font)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = left + column * across, top + row * down
        sheet.paste(tile.picture, (x, y + layout.caption * layout.above))
        for line, text in enumerate(tile.lines):
            fitting = _fitting(text, font, width)
            inset = (width - font.getlength(fitting)) / 2 if layout.above else 0
            below = 0 if layout.above else height + 3
            pen.text((x + inset, y + below + layout.line * line), fitting, fill=tile.ink, font=font)
    return sheet


def strip(frames: Frames, count: int, side: int) -> Image.Image:
    """`count` frames evenly spaced from the first to the last, side by side, each a square of `side` pixels."""
    picked = np.linspace(0, len(frames) - 1, count).round().astype(int)
    result = Image.new("RGB", (count * side, side))
    for place, index in enumerate(picked):
        square = Image.fromarray(frames[index]).resize((side, side), Image.Resampling.LANCZOS)
        result.paste(square, (place * side, 0))
    return result


def draw_sheet(items: Sequence[tuple[Media, str]], path: Path, columns: int = 4) -> None:
    """Write a PNG with each item above its caption. Raises ValueError when there is nothing to show."""
    tiles = [Tile(_picture(media), (caption,)) for media, caption in items]
    widest = max((tile.picture.width for tile in tiles), default=SIDE)
    sheet = contact_sheet(tiles, max(1, min(columns * SIDE // widest, len(tiles))))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _picture(media: Media) -> Image.Image:
    """An image as one square, a clip as a strip."""
    count, side = (1, SIDE) if media.modality is Modality.IMAGE else (STRIP, SIDE * 5 // 8)
    return strip(media.frames, count, side)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """`text`, shortened with an ellipsis to `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
