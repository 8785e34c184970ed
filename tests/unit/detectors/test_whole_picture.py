"""Whole pictures: their parts, how answers are combined, and what nothing can be told from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from detectors.whole_picture import (
    MOST_SQUARES,
    MOST_TILES,
    SIDE,
    View,
    combined,
    cut,
    fineness_of,
    judge,
    one_of,
    squares,
    tiles,
    unfit,
    where,
)
from subnet.codec.image import decode_image
from subnet.media import embedded
from subnet.types import Media, Modality, Prediction, Split

sides = st.integers(64, 20_000)


@given(sides, sides)
def test_parts_lie_within_the_picture_and_are_few(height: int, width: int) -> None:
    """For any size: few parts, none outside, tiles of the one size, none in what is hardly larger than a tile."""
    parts, small = squares(height, width), tiles(height, width)
    assert 1 <= len(parts) <= MOST_SQUARES
    assert len(small) <= MOST_TILES
    for left, top, wide, high in parts + small:
        assert 0 <= left <= left + wide <= width
        assert 0 <= top <= top + high <= height
    assert all(box[2:] == (SIDE, SIDE) for box in small)
    assert bool(small) == (min(height, width) > SIDE)


@given(st.integers(64, 3000), st.floats(1, MOST_SQUARES), st.booleans())
def test_squares_show_all_of_the_picture(side: int, aspect: float, upright: bool) -> None:
    """Up to four times as long as wide, every pixel lies in a square."""
    longer = int(side * aspect)
    boxes = squares(longer, side) if upright else squares(side, longer)
    starts = sorted(box[1] if upright else box[0] for box in boxes)
    assert starts[0] == 0
    assert starts[-1] + side == longer
    assert all(later - earlier <= side for earlier, later in itertools.pairwise(starts))


@given(st.integers(257, 1024), st.integers(257, 1024))
def test_tiles_cover_small_pictures(height: int, width: int) -> None:
    """Up to 1024 x 1024 every pixel lies in a tile."""
    covered = np.zeros((height, width), bool)
    for left, top, wide, high in tiles(height, width):
        covered[top : top + high, left : left + wide] = True
    assert covered.all()


def view(kind: str, p_synthetic: float) -> View:
    return View(kind, (0, 0, 1, 1), p_synthetic)


def odds(p: float) -> float:
    return p / (1 - p)


def test_the_rule_weighs_all_of_it_against_one_tile() -> None:
    """Half the odds that everything is synthetic, half those that one tile is, each as likely; squares alone: a mean."""
    assert combined([view("square", 0.5), view("square", 0.5)]) == pytest.approx(0.5)
    assert combined([view("square", 0.9), view("square", 0.1)]) == pytest.approx(0.5)
    everything = np.exp((np.log(odds(0.9)) + (np.log(odds(0.2)) + np.log(odds(0.6))) / 2) / 2)
    one = (odds(0.2) + odds(0.6)) / 2
    expected = (everything + one) / 2
    found = combined([view("square", 0.9), view("tile", 0.2), view("tile", 0.6)])
    assert odds(found) == pytest.approx(expected)
    assert 0 < combined([view("square", 0.0), view("tile", 1.0)]) < 1


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=16))
def test_a_hottest_tile_is_corrected_for_their_number(log_odds: list[float]) -> None:
    """Never above the hottest, never below it by more than the log of their number."""
    hottest = max(log_odds)
    assert hottest - np.log(len(log_odds)) - 1e-9 <= one_of(log_odds) <= hottest + 1e-9


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((0, 0, 256, 256), "top left"),
        ((384, 384, 256, 256), "middle"),
        ((768, 384, 256, 256), "middle right"),
        ((384, 768, 256, 256), "bottom"),
        ((768, 768, 256, 256), "bottom right"),
    ],
)
def test_places_have_names(box: tuple[int, int, int, int], place: str) -> None:
    """By thirds of a picture of 1024 pixels."""
    assert where(box, 1024, 1024) == place


class Bright:
    """Answers how bright a picture is."""

    name, modality, weights_hash = "bright", Modality.IMAGE, ""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        assert {media.frames.shape[1:3] for media in batch} == {(256, 256)}
        return [Prediction(float(media.frames.mean()) / 255) for media in batch]


def test_a_corner_is_seen() -> None:
    """What lies outside of the centre square changes the answer, and the spread tells of it."""
    plain = np.full((1, 600, 1600, 3), 40, np.uint8)
    spoilt = plain.copy()
    spoilt[:, :200, -300:] = 250
    before, after = judge(Bright(), Media(plain)), judge(Bright(), Media(spoilt))
    assert after.p_synthetic > before.p_synthetic
    assert before.spread[1] - before.spread[0] < 0.01
    assert after.spread[1] > 0.5 > after.spread[0]
    loudest = after.hottest
    assert loudest is not None
    assert loudest == max(after.views, key=lambda part: part.p_synthetic)
    assert where(loudest.box, 600, 1600) == "top right"
    assert cut(Media(spoilt), loudest.box).frames.mean() > 125


def drawn(kind: str) -> np.ndarray:
    image = Image.new("RGB", (512, 384), {"black": "black", "one colour": "#3070c0"}.get(kind, "white"))
    if kind == "slope":
        image = Image.linear_gradient("L").resize((512, 384)).convert("RGB")
    if kind == "a dot":
        ImageDraw.Draw(image).ellipse((250, 190, 256, 196), fill="black")
    return np.asarray(image)


@pytest.mark.parametrize("kind", ["black", "white", "one colour", "slope", "a dot"])
def test_flat_pictures_have_no_answer(kind: str) -> None:
    """Black, white, one colour, a slope, a blank page with a dot or the noise of a scanner: flat."""
    frame = drawn(kind)
    assert "flat" in unfit(Media(frame[None]))
    noise = np.random.default_rng(0).normal(0, 1, frame.shape)
    assert "flat" in unfit(Media((frame + noise).clip(0, 255).astype(np.uint8)[None]))
    assert "flat" in unfit(Media(np.repeat(frame[None], 8, axis=0), 25.0))


def test_small_and_short_media_have_no_answer() -> None:
    """Below 64 pixels on a side, and clips below four frames; from there on there is an answer."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    assert "63x64" in unfit(Media(noise[:1, :, :63]))
    assert "3 frames" in unfit(Media(noise[:3], 25.0))
    assert unfit(Media(noise[:1])) == ""
    assert unfit(Media(noise[:4], 25.0)) == ""


def test_no_photograph_is_called_flat() -> None:
    """Every embedded photograph of the test split has texture enough."""
    for item in embedded.items(Modality.IMAGE, Split.TEST):
        assert unfit(decode_image(embedded.path(item).read_bytes())) == "", item.id


def test_fineness_is_measured_where_pixels_are_shown_as_they_are() -> None:
    """By tiles of what is larger than a challenge, after enlarging of what is smaller, not of challenges and clips."""
    (item, *_) = embedded.items(Modality.IMAGE, Split.TEST)
    photo = Image.fromarray(decode_image(embedded.path(item).read_bytes()).frames[0])
    assert min(photo.size) > SIDE

    def of(side: int, grown: int = 1) -> float | None:
        scale = side / min(photo.size)
        small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
        shown = small.resize((grown * small.width, grown * small.height), Image.Resampling.BICUBIC)
        return fineness_of(Media(np.asarray(shown)[None]))

    sharp = fineness_of(Media(np.asarray(photo)[None]))
    assert sharp is not None
    assert of(SIDE) is None
    for coarse in (of(110), of(150), of(192, 2)):
        assert coarse is not None
        assert coarse < sharp - 0.4
    long = np.zeros((4, 300, 400, 3), np.uint8)
    assert fineness_of(Media(long, 8.0)) is None
    assert fineness_of(Media(long[:, :100], 8.0)) is not None
