"""Typefaces that come with matplotlib (DejaVu), which every machine with Assay has."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

FACES = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")


@cache
def face(name: str, size: int) -> FreeTypeFont:
    """A face of FACES at a size in pixels."""
    from matplotlib import get_data_path

    return ImageFont.truetype(
        Path(get_data_path(), "fonts", "ttf", f"{name}.ttf"), size, layout_engine=ImageFont.Layout.BASIC
    )


def bold(size: int) -> FreeTypeFont:
    return face("DejaVuSans-Bold", size)
