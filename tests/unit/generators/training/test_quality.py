"""Measures of the embedded generators: PSNR, separation by sharpness, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from generators.training.quality import compare, line, mean, psnr, separation, sheet
from subnet.types import Label, Media, Provenance, Sample


def picture(seed: int, spread: float = 40, fps: float | None = None) -> Sample:
    shape = (1 if fps is None else 5, 32, 32, 3)
    frames = np.clip(np.random.default_rng(seed).normal(128, spread, shape), 0, 255).astype(np.uint8)
    return Sample(Media(frames, fps), Label.REAL, Provenance("test", str(seed)))


def test_psnr_of_a_known_error() -> None:
    """An error of 16 grey levels everywhere is 20 log10(255 / 16) dB; no error is finite."""
    frames = np.full((1, 8, 8, 3), 100, np.uint8)
    assert psnr(frames + 16, frames) == pytest.approx(20 * np.log10(255 / 16))
    assert psnr(frames, frames) == pytest.approx(10 * np.log10(255**2 / 1e-3))


def test_separation_points_either_way() -> None:
    """Fakes that score lower separate as well as fakes that score higher, and the interval holds the value."""
    rng = np.random.default_rng(0)
    reals, fakes = rng.normal(0, 1, 80), rng.normal(1, 1, 80)
    up = separation(fakes, reals, np.random.default_rng(1))
    down = separation(-fakes, -reals, np.random.default_rng(1))
    assert up.value == pytest.approx(down.value)
    assert 0.5 < up.low <= up.value <= up.high <= 1


def test_mean_interval_holds_the_mean() -> None:
    """The bootstrap interval lies around the mean and is narrower with less spread."""
    wide, narrow = (mean(np.linspace(-s, s, 50), np.random.default_rng(0)) for s in (2.0, 1.0))
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_report_and_sheet() -> None:
    """A report says what was compared, and the sheet has a column for every pair, of stills and of clips."""
    stills = [(picture(n), picture(n + 50, 20)) for n in range(6)]
    report = compare("blur", stills, 0.1, twins=True)
    assert (report.name, report.items, report.modality) == ("blur", 6, "image")
    assert report.psnr is not None
    assert report.sharpness_auc.value == 1
    assert report.sharpness_ratio < 1
    assert "blur" in line(report)
    assert compare("text", stills, 0.1, twins=False).psnr is None
    clips = [(picture(n, fps=25.0), picture(n + 50, fps=25.0)) for n in range(2)]
    assert sheet("clips", clips, 2).width > sheet("stills", stills, 2).width
