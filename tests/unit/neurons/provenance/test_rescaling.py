"""Enlarged pictures have a line in the spectrum of how well pixels are predicted; others have none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, features

from neurons.provenance.clue import State
from neurons.provenance.rescaling import rescaled
from subnet.types import Frames
from tests.unit.neurons.provenance.pictures import fresh, photograph, saved


def resized(frame: Frames, factor: float, kernel: Image.Resampling) -> Frames:
    height, width = frame.shape[:2]
    return np.asarray(Image.fromarray(frame).resize((round(width * factor), round(height * factor)), kernel))


@pytest.mark.parametrize("factor", [1.2, 1.5, 1.8])
def test_enlarged_pictures_are_found(factor: float) -> None:
    """By bilinear and bicubic filters, from pixels without a history."""
    for kernel in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
        for number in range(4):
            assert rescaled(resized(fresh(photograph(number)), factor, kernel)).state is State.FOUND


def test_others_are_not_accused() -> None:
    """Photographs whose pixels are means of four, and noise."""
    for number in range(4):
        assert rescaled(fresh(photograph(number))).state is not State.FOUND
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    assert rescaled(noise).state is State.NOTHING


@pytest.mark.parametrize(("format", "quality"), [("WEBP", 5), ("AVIF", 10)])
def test_blocks_of_other_codecs_are_no_raster(format: str, quality: int) -> None:
    """Their blocks have lines at multiples of 1 / 16, where JPEG's have them at multiples of 1 / 8."""
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    for number in range(8):
        data = io.BytesIO(saved(photograph(number), format, quality=quality))
        assert rescaled(np.asarray(Image.open(data).convert("RGB"))).state is not State.FOUND


def test_what_is_too_small_cannot_be_told() -> None:
    """Below the smallest side there is no spectrum to speak of."""
    assert rescaled(photograph()[:100, :400]).state is State.NOT_READ
