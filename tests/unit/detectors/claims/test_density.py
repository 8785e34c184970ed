"""Densities of features: near is near 1, far is far, and what is stored measures alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.claims.density import Density, fit, read_density, write_density
from subnet.errors import CheckpointError

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 40))


def drawn(count: int, seed: int = 1) -> np.ndarray:
    """Features of 40 numbers with six directions in them, and a little noise; one number never changes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 6)) @ MIX + 0.1 * rng.normal(size=(count, 40)) + 5.0
    features[:, 0] = 3.0
    return features.astype(np.float32)


def test_what_is_like_the_fit_lies_near_one() -> None:
    """New items of the same kind lie about as far as those of the fit; a shift, a scale and another mix lie farther."""
    density = fit(drawn(400))
    usual = density.distances(drawn(400, 2))
    assert np.median(usual) == pytest.approx(1.0, abs=0.25)
    line = np.quantile(usual, 0.98)
    rng = np.random.default_rng(3)
    elsewhere = (rng.normal(size=(50, 6)) @ rng.normal(size=(6, 40)) + 5.0).astype(np.float32)
    for odd in (drawn(50, 4) + 4.0, 5.0 + 6.0 * (drawn(50, 5) - 5.0), elsewhere):
        assert (density.distances(odd.astype(np.float32)) > line).mean() > 0.9


def test_a_stored_density_measures_alike(tmp_path: Path) -> None:
    """Half precision of the components is that of the fit."""
    density = fit(drawn(60))
    write_density(tmp_path / "d.safetensors", density)
    items = drawn(20, 7)
    np.testing.assert_array_equal(read_density(tmp_path / "d.safetensors").distances(items), density.distances(items))


def test_fewer_items_than_features_will_do() -> None:
    """Ten items of 40 numbers: finite distances, larger for what is odd."""
    density = fit(drawn(10))
    assert np.isfinite(density.distances(drawn(5, 8))).all()
    assert density.distances(drawn(5, 8) + 50.0).min() > density.distances(drawn(10)).max()


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    """Two items, NaN, another size, and files that are no density."""
    for features in (drawn(2), np.full((9, 4), np.nan, np.float32), np.zeros(4, np.float32)):
        with pytest.raises(ValueError, match="finite features of at least 3"):
            fit(features)
    density = fit(drawn(9))
    assert isinstance(density, Density)
    with pytest.raises(ValueError, match="40 numbers"):
        density.distances(np.zeros((1, 39), np.float32))
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    for name in ("bad.safetensors", "missing.safetensors"):
        with pytest.raises(CheckpointError, match=name):
            read_density(tmp_path / name)
