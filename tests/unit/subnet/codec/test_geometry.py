"""The shape that a container declares: turns, mirrors, pixel aspect, cuts, and cover art that is no clip."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from subnet.codec.geometry import clean_aperture, geometry, upright
from subnet.codec.video import Limits, decode_video
from subnet.errors import MediaUnreadable
from tests.unit.subnet.codec.clips import (
    BLUE,
    GREEN,
    GREY,
    RED,
    box,
    corners,
    encoded,
    quadrants,
    with_aperture,
    with_cover,
    with_matrix,
)

PLAIN = encoded([quadrants()] * 3)
MOV = encoded([quadrants()] * 3, container="mov")
MATRICES = {
    "upright": ((1, 0, 0, 1), [RED, GREEN, BLUE, GREY]),
    "mirrored": ((-1, 0, 0, 1), [GREEN, RED, GREY, BLUE]),
    "half turn": ((-1, 0, 0, -1), [GREY, BLUE, GREEN, RED]),
    "upside down": ((1, 0, 0, -1), [BLUE, GREY, RED, GREEN]),
    "transposed": ((0, 1, 1, 0), [RED, BLUE, GREEN, GREY]),
    "quarter clockwise": ((0, 1, -1, 0), [BLUE, RED, GREY, GREEN]),
    "transversed": ((0, -1, -1, 0), [GREY, GREEN, BLUE, RED]),
    "quarter anticlockwise": ((0, -1, 1, 0), [GREEN, GREY, RED, BLUE]),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("data", [PLAIN, MOV], ids=["mp4", "mov"])
def test_all_eight_matrices(data: bytes, name: str) -> None:
    """Every turn and mirror of a display matrix is applied, and swaps the sides where it must."""
    matrix, expected = MATRICES[name]
    frames = decode_video(with_matrix(data, *matrix)).frames
    assert corners(frames[1]) == expected
    assert frames.shape[1:3] == ((64, 96) if matrix[0] else (96, 64))


def test_other_angles_go_to_the_nearest_quarter() -> None:
    """A turn by 80 degrees is shown as one of 90, a matrix of zeros as none."""
    angle = np.radians(80)
    turned = with_matrix(PLAIN, np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle))
    assert corners(decode_video(turned).frames[0]) == MATRICES["quarter clockwise"][1]
    assert corners(decode_video(with_matrix(PLAIN, 0, 0, 0, 0)).frames[0]) == MATRICES["upright"][1]


@given(st.permutations([0, 1]), st.booleans(), st.booleans())
def test_matrix_means_where_points_go(order: list[int], first: bool, second: bool) -> None:
    """For each of the eight matrices a pixel lies, after the turn, where the matrix takes it."""
    matrix = [[0, 0], [0, 0]]
    matrix[0][order[0]], matrix[1][order[1]] = 1 - 2 * first, 1 - 2 * second
    (a, b), (c, d) = matrix
    frame = np.zeros((4, 6, 3), np.uint8)
    frame[1, 4] = 255
    shape = geometry(6, 4, matrix=(a, b, c, d), most_pixels=100)
    y, x = (int(place[0]) for place in np.nonzero(upright(frame, shape)[..., 0]))
    high, wide = upright(frame, shape).shape[:2]
    moved_x, moved_y = a * (4 - 2.5) + c * (1 - 1.5), b * (4 - 2.5) + d * (1 - 1.5)
    assert (x - (wide - 1) / 2, y - (high - 1) / 2) == (moved_x, moved_y)


def aspect(ratio: Fraction) -> bytes:
    def tag(context: av.VideoCodecContext) -> None:
        context.sample_aspect_ratio = ratio

    return encoded([quadrants()] * 3, tag=tag)


@pytest.mark.parametrize(
    ("ratio", "shape"),
    [
        (Fraction(2), (64, 192)),
        (Fraction(1, 2), (128, 96)),
        (Fraction(16, 15), (64, 102)),
        (Fraction(1), (64, 96)),
        (Fraction(4000, 3), (64, 96)),
    ],
)
def test_pixels_become_square(ratio: Fraction, shape: tuple[int, int]) -> None:
    """The side that is short is stretched, so nothing is lost; an aspect that cannot be is not believed."""
    frames = decode_video(aspect(ratio)).frames
    assert frames.shape[1:3] == shape
    assert corners(frames[0]) == [RED, GREEN, BLUE, GREY]
    assert decode_video(with_matrix(aspect(ratio), 0, 1, -1, 0)).frames.shape[1:3] == shape[::-1]


def test_a_cut_by_the_bitstream_and_a_turn() -> None:
    """Sides that are no multiple of a macroblock are cut by the decoder, before the turn."""
    data = encoded([quadrants(54, 90)] * 3)
    assert decode_video(data).frames.shape[1:3] == (54, 90)
    assert decode_video(with_matrix(data, 0, 1, 1, 0)).frames.shape[1:3] == (90, 54)


def test_a_clean_aperture_cuts_before_the_turn() -> None:
    """The aperture that lies over the green quarter leaves it alone, whatever the turn."""
    data = with_aperture(PLAIN, 40, 24, Fraction(24), Fraction(-16))
    for matrix, shape in (((1, 0, 0, 1), (24, 40)), ((0, 1, -1, 0), (40, 24)), ((-1, 0, 0, 1), (24, 40))):
        frames = decode_video(with_matrix(data, *matrix)).frames
        assert frames.shape[1:3] == shape
        assert set(corners(frames[0])) == {GREEN}


@pytest.mark.parametrize("values", [(0, 0, 0, 0), (400, 300, 0, 0), (40, 24, 999, 0)])
def test_an_aperture_that_makes_no_sense_cuts_nothing(values: tuple[int, int, int, int]) -> None:
    """An aperture that is empty, larger than the frame, or beside it, changes nothing."""
    width, height, right, below = values
    data = with_aperture(PLAIN, width, height, Fraction(right), Fraction(below))
    frames = decode_video(data).frames
    assert frames.shape[2] == 96
    assert corners(frames[0]) == [RED, GREEN, BLUE, GREY]


@given(st.binary(max_size=300))
def test_broken_boxes_have_no_aperture(noise: bytes) -> None:
    """Whatever stands in the boxes: no aperture, and never an error."""
    clean_aperture(box(b"moov", box(b"trak", noise)), 1)
    clean_aperture(noise, 0)
    cut = with_aperture(PLAIN, 40, 24, Fraction(24), Fraction(-16))
    start = cut.index(b"clap") + 4
    clean_aperture(cut[:start] + noise[:32] + cut[start + len(noise[:32]) :], 1)


def cover() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50), "white").save(buffer, "JPEG")
    return buffer.getvalue()


def test_cover_art_is_not_the_clip() -> None:
    """Art that stands before the track is passed over; a file with nothing but art has no video."""
    data = with_cover(PLAIN, cover())
    with av.open(io.BytesIO(data)) as container:
        assert len(container.streams.video) == 2
    assert decode_video(data).frames.shape == (3, 64, 96, 3)
    alone = data.replace(b"trak", b"free")
    with pytest.raises(MediaUnreadable, match="no video stream"):
        decode_video(alone)


def test_a_still_track_before_the_clip() -> None:
    """A poster that is a track of one frame, and comes first, is not the clip either."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        poster, clip = out.add_stream("mjpeg", rate=25), out.add_stream("libx264", rate=25)
        poster.width, poster.height, poster.pix_fmt = 50, 50, "yuvj420p"
        clip.width, clip.height, clip.pix_fmt = 96, 64, "yuv420p"
        white = av.VideoFrame.from_ndarray(np.full((50, 50, 3), 255, np.uint8), format="rgb24")
        out.mux(poster.encode(white.reformat(format="yuvj420p")))
        out.mux(poster.encode(None))
        for _ in range(3):
            out.mux(clip.encode(av.VideoFrame.from_ndarray(quadrants(), format="rgb24")))
        out.mux(clip.encode(None))
    assert decode_video(buffer.getvalue()).frames.shape == (3, 64, 96, 3)


def test_big_frames_shrink_and_keep_their_shape() -> None:
    """Over `shown_pixels` a frame is shrunk, aspect, cut and turn kept; under it, it is as it was."""
    small = decode_video(with_matrix(PLAIN, 0, 1, -1, 0), Limits(shown_pixels=1536)).frames
    assert small.shape[1:3] == (48, 32)
    assert corners(small[0]) == MATRICES["quarter clockwise"][1]
    cut = with_aperture(PLAIN, 40, 24, Fraction(24), Fraction(-16))
    assert decode_video(cut, Limits(shown_pixels=1536)).frames.shape[1:3] == (12, 20)
    assert np.array_equal(decode_video(PLAIN).frames, decode_video(PLAIN, Limits(shown_pixels=64 * 96)).frames)


def test_patches_of_this_page_are_sound() -> None:
    """The helpers write what they say: a track header that is read back, an aperture at its place."""
    data = with_aperture(PLAIN, 40, 24, Fraction(24), Fraction(-16))
    found = clean_aperture(data, 1)
    assert found is not None
    assert (found.width, found.height, found.right, found.below) == (40, 24, 24, -16)
    assert clean_aperture(data, 2) is None
    assert clean_aperture(PLAIN, 1) is None
    assert struct.unpack_from(">I", data, 0)[0] <= len(data)
