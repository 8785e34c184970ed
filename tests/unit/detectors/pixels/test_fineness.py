"""How fine the detail is: enlarging empties the finest frequencies, and nothing that keeps the pixels does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detectors.pixels.fineness import FINE, fineness
from subnet.types import Frames

SIDE = 192


def texture(seed: int, slope: float) -> Frames:
    """A random picture (1, SIDE, SIDE, 3) whose power falls with the frequency as that of photographs, to `slope`."""
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None]
    radius = np.maximum(np.hypot(down, across), 1 / SIDE)
    wave = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * radius ** (-slope / 2)).real
    grey = np.clip(128 + 45 * wave / wave.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[None, ..., None], 3, axis=-1)


def fainter(frames: Frames, contrast: float) -> Frames:
    """The same with less contrast, around a middle grey."""
    return (128 + contrast * (frames.astype(np.float32) - 128)).round().astype(np.uint8)


def enlarged(frames: Frames, factor: float, kind: Image.Resampling) -> Frames:
    """The middle of it, blown up to the same size."""
    part = round(SIDE / factor)
    first = (SIDE - part) // 2
    image = Image.fromarray(frames[0, first : first + part, first : first + part])
    return np.asarray(image.resize((SIDE, SIDE), kind))[None]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 99),
    st.floats(1.5, 2.25),
    st.floats(1.6, 4.0),
    st.floats(0.3, 1.0),
    st.sampled_from([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]),
)
def test_enlarging_by_more_than_the_band_holds_empties_it(
    seed: int, slope: float, factor: float, contrast: float, kind: Image.Resampling
) -> None:
    """Above 1 / (2 f) nothing is left, whatever filter it was: four tenths of a decade at least are lost.

    Where contrast is low, detail faint or the factor beyond 4, both bands hold what rounding leaves, and less is lost.
    """
    assert 1 / (2 * factor) < FINE[0]
    sharp = fainter(texture(seed, slope), contrast)
    assert fineness(enlarged(sharp, factor, kind)) < fineness(sharp) - 0.4


@given(st.integers(0, 99), st.floats(0.3, 1.0))
@settings(max_examples=10, deadline=None)
def test_contrast_turns_and_sides_change_little(seed: int, contrast: float) -> None:
    """It is a share of power: fainter, mirrored and turned the detail is as fine."""
    frames = texture(seed, 2.0)
    before = fineness(frames)
    for changed in (fainter(frames, contrast), frames[:, ::-1], frames[:, :, ::-1], frames.swapaxes(1, 2)):
        assert fineness(changed) == pytest.approx(before, abs=0.1)


def test_even_pictures_and_clips_have_a_number() -> None:
    """Nothing is as fine as nothing; of a clip the median of some frames counts, not one of them."""
    assert fineness(np.full((1, 64, 80, 3), 7, np.uint8)) == 0.0
    sharp, soft = texture(0, 2.0), enlarged(texture(0, 2.0), 2.5, Image.Resampling.BICUBIC)
    clip = np.concatenate([sharp, sharp, soft, sharp])
    assert fineness(clip) == pytest.approx(fineness(sharp), abs=1e-6)
