"""The studies' pictures are PNGs of the size that their parts need, and curves keep their means."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from detectors.studies.courses import smooth
from detectors.studies.drawing import Panel, clouds, curves, matrices, sheet


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return image.size


def test_pictures_grow_with_their_parts() -> None:
    """A panel more is a column more; rows of a sheet are as many as names."""
    panel = Panel("loss", "step", "error", {"a": ([1, 2], [0.5, 0.1])}, logarithmic=True)
    assert size(curves([panel, panel]))[0] == pytest.approx(2 * size(curves([panel]))[0], abs=2)
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    one, two = size(sheet({"x": [picture] * 3}, ("a",))), size(sheet({"x": [picture] * 3, "y": [picture]}, ("a",)))
    assert (two[0], two[1]) == (one[0], pytest.approx(2 * one[1], abs=2))


def test_all_kinds_are_drawn() -> None:
    """Clouds of two classes, and matrices with an empty row."""
    points = np.random.default_rng(0).normal(size=(10, 3))
    assert size(clouds({"net": (points, np.arange(10) % 2)}))[0] > 100
    assert size(matrices({"a": np.array([[3.0, 1.0], [0.0, 0.0]]), "b": np.eye(2)}))[0] > 100


def test_smoothing_keeps_the_mean() -> None:
    """Stretches of one length: few points, the same mean, the last step kept."""
    x, y = list(range(1, 121)), [float(i % 7) for i in range(120)]
    steps, values = smooth((x, y))
    assert len(steps) == 40
    assert steps[-1] == 120
    assert np.mean(values) == pytest.approx(np.mean(y))
    assert smooth((x[:5], y[:5])) == (x[:5], y[:5])
