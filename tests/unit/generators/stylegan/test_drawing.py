"""Pictures out of trained weights: the same for the same seed, as large as the game wants them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from generators.stylegan import drawing
from generators.stylegan.loading import save_generator
from generators.stylegan.network import Generator, Sizes
from subnet.errors import SettingsError
from subnet.types import Label, Modality


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "stylegan.safetensors"
    save_generator(Generator(Sizes(12, 2, (8, 6, 4), wavelet=True)), path, {"seed": 0})
    return path


def test_samples(weights: Path) -> None:
    """One synthetic 256-pixel picture for each prompt, and its provenance is enough to draw it again."""
    maker = drawing.load(weights)
    samples = maker.generate(["a cat", "a dog"], np.random.default_rng(5))
    again = maker.generate(["", ""], np.random.default_rng(5))
    for sample, other in zip(samples, again, strict=True):
        assert (sample.label, sample.modality) == (Label.SYNTHETIC, Modality.IMAGE)
        assert sample.media.frames.shape == (1, 256, 256, 3)
        assert np.array_equal(sample.media.frames, other.media.frames)
        assert sample.provenance.prompt is None
        assert sample.provenance.seed is not None
        assert np.array_equal(drawing.enlarged(maker.draw(sample.provenance.seed)), sample.media.frames)
    assert not np.array_equal(samples[0].media.frames, samples[1].media.frames)


def test_truncation(weights: Path) -> None:
    """At 0 all pictures are the mean's; in between they are nearer to it. Outside of 0 to 1 is refused."""
    none, half, full = (drawing.load(weights, truncation=share) for share in (0.0, 0.5, 1.0))
    assert np.array_equal(none.draw(1), none.draw(2))
    mean = none.draw(1).astype(float)
    assert 0 < np.abs(half.draw(1) - mean).mean() < np.abs(full.draw(1) - mean).mean()
    with pytest.raises(SettingsError, match="--truncation"):
        drawing.load(weights, truncation=1.5)


@pytest.mark.parametrize(("side", "wanted"), [(16, 256), (64, 256), (100, 200), (256, 256), (512, 512)])
def test_whole_factors(side: int, wanted: int) -> None:
    """Enlarged by a whole factor to at most 256 pixels; larger pictures stay as they are."""
    assert drawing.enlarged(np.zeros((1, side, side, 3), np.uint8)).shape == (1, wanted, wanted, 3)


def test_command(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and their provenance are written, the same ones every time; bad weights end it with one line."""
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["drawing", str(weights), "--out", str(out), "--count", "2", "--seed", "7"])
    drawing.main()
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(first) == [f"stylegan-7-{n:06d}.{end}" for n in range(2) for end in ("json", "png")]
    assert json.loads(first["stylegan-7-000000.json"])["parameters"]["form"] == "wavelet"
    drawing.main()
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    monkeypatch.setattr(sys, "argv", ["drawing", str(weights), "--out", str(out), "--count", "0"])
    with pytest.raises(SystemExit, match="--count"):
        drawing.main()
    weights.write_bytes(b"\x80\x04nothing")
    with pytest.raises(SystemExit, match="weights: "):
        drawing.main()
