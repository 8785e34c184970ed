"""Pictures with known masks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.pixels.composites import KINDS, LEAST, MOST, Kind, compose, follow, region
from subnet.game.variant import variant_frames
from subnet.types import Media
from tests.unit.detectors.folders import photos

GREY = np.full((1, 96, 128, 3), 90, dtype=np.uint8)


@given(st.integers(0, 2**31), st.integers(32, 160), st.integers(32, 160))
def test_regions_lie_inside_and_have_their_size(seed: int, height: int, width: int) -> None:
    """A blob of some share of the smaller side's square, wholly inside the picture."""
    where = region(np.random.default_rng(seed), height, width)
    square = min(height, width) ** 2
    assert where.shape == (height, width)
    assert 0.5 * LEAST < where.sum() / square < 1.3 * MOST


@pytest.mark.parametrize("kind", KINDS)
def test_a_composite_differs_in_its_mask_alone(kind: Kind) -> None:
    """Outside the mask stands the photograph; inside, the twin, the other fake, or another place of the photograph."""
    rng = np.random.default_rng(3)
    whole, twin, other = (rng.integers(0, 256, (1, 40, 48, 3), dtype=np.uint8) for _ in range(3))
    made, where = compose(whole, twin, other, kind, rng)
    assert np.array_equal(made[:, ~where], whole[:, ~where])
    inside = made[0][where]
    if kind == "copy-moved":
        shifts = [(down, right) for down in range(40) for right in range(48)]
        assert any(np.array_equal(np.roll(whole[0], by, axis=(0, 1))[where], inside) for by in shifts)
        assert not np.array_equal(inside, whole[0][where])
    else:
        assert np.array_equal(inside, (twin if kind == "in-painted" else other)[0][where])


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_masks_go_where_their_pictures_go(level: int) -> None:
    """What a validator does to a picture moves its mask with it: a pale region stays under the mask at every level."""
    for seed in range(6):
        where = region(np.random.default_rng(seed), 96, 128)
        frames = GREY.copy()
        frames[:, where] = 230
        shown = variant_frames(Media(frames), level, np.random.default_rng(seed)).frames[0].mean(axis=-1)
        moved = follow(where, lambda media, seed=seed: variant_frames(media, level, np.random.default_rng(seed)))
        assert moved.any()
        apart = shown[moved].mean() - shown[~moved].mean() if not moved.all() else 255.0
        assert apart > 60
        pale = shown > (shown[moved].mean() + shown[~moved].mean()) / 2 if not moved.all() else moved
        assert (pale & moved).sum() / (pale | moved).sum() > 0.9


@pytest.mark.parametrize("level", [0, 3])
def test_whole_masks_stay_whole(level: int) -> None:
    """Nothing that is done to a picture makes part of a real or of a synthetic one."""
    show = partial(variant_frames, level=level, rng=np.random.default_rng(0))
    for value in (False, True):
        assert (follow(np.full((96, 128), value), show) == value).all()


def test_nothing_is_changed_in_place() -> None:
    """The photograph is left as it is."""
    (_, media), *_ = photos(1)
    before = media.frames.copy()
    compose(media.frames, 255 - media.frames, media.frames, "in-painted", np.random.default_rng(0))
    assert np.array_equal(media.frames, before)
