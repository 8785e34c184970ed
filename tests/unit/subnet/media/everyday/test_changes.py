"""What photographs go through before people meet them, and pages that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from subnet.codec.image import decode_image
from subnet.media.everyday.changes import CHANGES, RESAVINGS, collage, decoded, encoded, resaved, smoothed
from subnet.media.everyday.pages import PAGES, page
from subnet.media.leak.appearance import sharpness
from subnet.types import Frames


@pytest.fixture(scope="module")
def photo() -> Frames:
    """Soft shapes with a hard edge and fine noise, 144 x 192."""
    y, x = np.mgrid[:144, :192]
    base = 120 + 60 * np.sin(x / 17) + 40 * np.cos(y / 11)
    base = np.where(x > 90, base, 255 - base)[..., None] * [1.0, 0.8, 0.6]
    noisy = base + np.random.default_rng(0).normal(0, 6, (144, 192, 3))
    return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)


def pixels(data: bytes) -> Frames:
    return np.asarray(decoded(data))


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_follows_from_photograph_and_chance(kind: str, photo: Frames) -> None:
    """The same twice, another with other chance, and a file that validators would read; the photograph stays."""
    before = photo.copy()
    first, again, other = (CHANGES[kind](photo, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert (first == other) is (kind == "photograph")
    assert decode_image(first).frames.shape[-1] == 3
    np.testing.assert_array_equal(photo, before)


def test_changes_do_what_they_are_called(photo: Frames) -> None:
    """Thumbnails are small, messengers save bytes, sharpening sharpens, beauty filters smooth, film grain is noise."""
    made = {kind: change(photo, np.random.default_rng(3)) for kind, change in CHANGES.items()}
    shown = {kind: pixels(data) for kind, data in made.items()}
    sharp = {kind: sharpness(each[None]) for kind, each in shown.items()}
    plain = sharp["photograph"]
    assert 96 <= min(shown["thumbnail"].shape[:2]) <= 160
    assert len(made["messenger"]) < len(made["photograph"]) / 2
    assert shown["enlargement"].shape == photo.shape
    assert sharp["enlargement"] < plain < sharp["sharpened"]
    assert sharp["beauty filter"] < plain < sharp["film grain"]
    assert sharp["HDR"] > plain
    flat = np.full((144, 192, 3), 128, dtype=np.uint8)
    screen = pixels(CHANGES["photographed screen"](flat, np.random.default_rng(0))).astype(float)
    assert screen.std(axis=(0, 1)).mean() > 5  # moire, glare and a rim, of one grey
    white = {kind: (each > 240).all(axis=2).mean() for kind, each in shown.items()}
    assert white["meme"] > white["photograph"] + 0.005  # letters or a field


def test_edges_outlive_the_smoothing() -> None:
    """The guided filter takes noise away and leaves a step as it is."""
    step = np.where(np.arange(60) < 30, 0.2, 0.8) * np.ones((60, 1))
    noisy = step + np.random.default_rng(0).normal(0, 0.02, step.shape)
    even = smoothed(noisy, noisy, 4, 0.05**2)
    assert even[:, 5:20].std() < 0.5 * noisy[:, 5:20].std()
    assert even[:, 33].mean() - even[:, 26].mean() > 0.5


def test_saved_again_it_is_the_same_square(photo: Frames) -> None:
    """Eight files of four sizes, alike but for resolution and quality; a collage holds its four photographs."""
    files = [resaved(photo, *each) for each in RESAVINGS]
    assert len(set(files)) == 8
    small = [np.asarray(decoded(data).resize((32, 32)), dtype=float) for data in files]
    assert max(np.abs(each - small[0]).mean() for each in small) < 4
    assert {len(pixels(data)) for data in files} == {side for side, _ in RESAVINGS}
    four = [np.full((50, 70, 3), grey, dtype=np.uint8) for grey in (20, 80, 140, 200)]
    whole = pixels(collage(four, np.random.default_rng(0)))
    quarters = [whole[100, 100], whole[100, -100], whole[-100, 100], whole[-100, -100]]
    assert [round(float(each.mean()) / 20) for each in quarters] == [1, 4, 7, 10]


@pytest.mark.parametrize("kind", PAGES)
def test_pages_follow_from_chance(kind: str) -> None:
    """The same twice, another with other chance, and something on it."""
    first, again, other = (page(kind, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert first == again != other
    assert pixels(first).std() > 10


def test_what_has_a_high_quality_keeps_its_colours() -> None:
    """4:4:4 from the quality of the embedded set on: a red pixel stays red."""
    dots = np.full((64, 64, 3), 255, dtype=np.uint8)
    dots[::4, ::4, 1:] = 0
    kept, lost = (pixels(encoded(dots, quality)).astype(int) for quality in (95, 94))
    assert kept[::4, ::4, 1].mean() < lost[::4, ::4, 1].mean() - 30
