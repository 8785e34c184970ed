"""A contact sheet of media, drawn with Pillow alone: a picture is one tile, a clip a strip of four frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from subnet.types import Media, Modality

TILE, GAP, CAPTION = 256, 8, 20  # pixels
STRIP = 4  # frames shown of a clip


def draw_sheet(items: Sequence[tuple[Media, str]], path: Path, columns: int = 4) -> None:
    """Write a PNG with each item above its caption. Raises ValueError when there is nothing to show."""
    if not items:
        raise ValueError("a contact sheet needs at least one item")
    strips = [_strip(media) for media, _ in items]
    width, height = max(strip.width for strip in strips), max(strip.height for strip in strips)
    columns = max(1, min(columns * TILE // width, len(items)))
    rows = -(-len(items) // columns)
    sheet = Image.new("RGB", (GAP + columns * (width + GAP), GAP + rows * (height + CAPTION + GAP)), (250, 250, 250))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (strip, (_, caption)) in enumerate(zip(strips, items, strict=True)):
        left = GAP + (number % columns) * (width + GAP)
        top = GAP + (number // columns) * (height + CAPTION + GAP)
        sheet.paste(strip, (left, top))
        pen.text((left, top + height + 3), _fitting(caption, font, width), fill=(60, 60, 60), font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _strip(media: Media) -> Image.Image:
    if media.modality is Modality.IMAGE:
        return Image.fromarray(media.frames[0]).resize((TILE, TILE), Image.Resampling.LANCZOS)
    picked = np.linspace(0, len(media.frames) - 1, STRIP).round().astype(int)
    side = TILE * 5 // 8
    strip = Image.new("RGB", (STRIP * side, side))
    for place, index in enumerate(picked):
        strip.paste(
            Image.fromarray(media.frames[index]).resize((side, side), Image.Resampling.LANCZOS), (place * side, 0)
        )
    return strip


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """`text`, shortened with an ellipsis to `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
