"""Masks for in-painting."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.catalog.masks import Mask, Shape, draw_mask, from_json, render

seeds = st.integers(0, 2**32)


@given(seeds, st.integers(100, 200), st.integers(100, 200))
def test_a_mask_covers_a_part_of_the_picture(seed: int, height: int, width: int) -> None:
    """Values are in 0..1, the centre is painted, the corners are not, and 2 % to 30 % is covered."""
    mask = draw_mask(np.random.default_rng(seed))
    values = render(mask, height, width)
    assert values.shape == (height, width)
    assert values.dtype == np.float32
    assert values.min() == 0
    assert values.max() <= 1
    assert values[int(mask.row * height), int(mask.column * width)] == 1
    assert 0.02 < values.mean() < 0.3


@given(seeds)
def test_a_mask_is_the_same_at_every_size(seed: int) -> None:
    """Rendered large and averaged down, a mask is what it is when rendered small."""
    mask = draw_mask(np.random.default_rng(seed))
    large = render(mask, 256, 256).reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(large - render(mask, 64, 64)).mean() < 0.02


@given(seeds)
def test_provenance_keeps_the_mask(seed: int) -> None:
    """Through JSON and back, the rendered mask is the same to a hundredth of a pixel row."""
    mask = draw_mask(np.random.default_rng(seed))
    again = from_json(json.loads(json.dumps(mask.to_json())))
    assert again.shape is mask.shape
    assert np.abs(render(again, 128, 128) - render(mask, 128, 128)).max() < 0.05


def test_both_shapes_are_drawn_and_edges_are_soft_only_on_circles() -> None:
    """Half of the masks are rectangles with a hard edge, half circles with a feathered one."""
    masks = [draw_mask(np.random.default_rng(seed)) for seed in range(400)]
    circles = [mask for mask in masks if mask.shape is Shape.CIRCLE]
    assert 150 < len(circles) < 250
    assert all(mask.feather >= 0.02 for mask in circles)
    assert all(mask.feather == 0 for mask in masks if mask.shape is Shape.RECTANGLE)


def test_corners_of_a_rectangle_are_round() -> None:
    """The corner of the box is left alone, the middle of its edge is painted."""
    values = render(Mask(Shape.RECTANGLE, 0.5, 0.5, 0.25, 0.25, 0.2, 0.0), 100, 100)
    assert values[26, 26] == 0
    assert values[26, 50] == 1


@pytest.mark.parametrize(
    "change", [{"row": 2.0}, {"radius": -1.0}, {"half_width": 0.0}, {"shape": "star"}, {"row": None}]
)
def test_what_is_no_mask_is_refused(change: dict[str, object]) -> None:
    """A centre outside, a negative length, an unknown shape or a missing number: ValueError."""
    value = draw_mask(np.random.default_rng(0)).to_json()
    value.update(change)  # type: ignore[arg-type]
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(value)
