"""Contact sheets: every picture stands whole in its cell, with its caption."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from subnet.media.contact_sheet import Layout, Tile, contact_sheet, strip

COLOURS = ["#ff0000", "#00ff00", "#0000ff", "#ffff00", "#00ffff", "#ff00ff", "#102030"]
SIDES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=7)


@given(SIDES, st.integers(1, 5), st.integers(0, 9), st.integers(0, 30), st.booleans())
def test_every_picture_is_whole(
    sides: list[tuple[int, int]], columns: int, gap: int, caption: int, above: bool
) -> None:
    """No picture covers another or leaves the sheet, however large the gaps and wherever captions stand."""
    tiles = [Tile(Image.new("RGB", side, colour)) for side, colour in zip(sides, COLOURS, strict=False)]
    sheet = np.asarray(contact_sheet(tiles, columns, Layout(gap=gap, caption=caption, above=above)))
    for tile, (width, height) in zip(tiles, sides, strict=True):
        colour = np.asarray(tile.picture)[0, 0]
        rows, places = np.nonzero((sheet == colour).all(axis=2))
        assert len(rows) == width * height
        assert (np.ptp(rows) + 1, np.ptp(places) + 1) == (height, width)


def test_captions_stand_where_they_belong() -> None:
    """Below a picture or above it, in their colour, cut with an ellipsis to its width."""
    tile = Tile(Image.new("RGB", (60, 40), "white"), ("a caption that is much too long",), "#ff0000")
    for above, rows in ((False, slice(40, 70)), (True, slice(0, 30))):
        sheet = np.asarray(contact_sheet([tile], 1, Layout(gap=0, caption=30, above=above, ground="white")))
        red = (sheet[..., 1] < 128) & (sheet[..., 0] > 128)
        assert sheet.shape == (70, 60, 3)
        assert red[rows].any()
        assert red.sum() == red[rows].sum()


def test_a_strip_runs_from_the_first_frame_to_the_last() -> None:
    """Frames stand side by side in the order of the clip."""
    frames = np.repeat(np.arange(0, 250, 10, dtype=np.uint8), 8 * 8 * 3).reshape(25, 8, 8, 3)
    picture = np.asarray(strip(frames, 3, 16))
    assert picture.shape == (16, 48, 3)
    assert picture[8, [8, 24, 40], 0].tolist() == [0, 120, 240]


def test_nothing_to_show() -> None:
    """A sheet of nothing is refused."""
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], 4)
