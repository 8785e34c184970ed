"""Pictures to train on: any folder, broken files and all."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generators.training import pictures
from subnet.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of them deeper, and four files that cannot be used."""
    rng = np.random.default_rng(0)
    (tmp_path / "deep").mkdir()
    for name, size in (("a.png", (40, 30)), ("b.jpg", (200, 100)), ("deep/c.webp", (32, 32)), ("small.png", (8, 40))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_batches(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Crops of the right size, the same for the same generator; files that cannot be used are told once."""
    source = pictures.Pictures(pictures.paths_of(folder), 16, 0.5)
    with caplog.at_level(logging.WARNING):
        first = source.batch(40, np.random.default_rng(3))
        assert np.array_equal(source.batch(40, np.random.default_rng(3)), first)
    assert first.shape == (40, 16, 16, 3)
    told = sorted(record.getMessage().partition(f"left out {folder}/")[2] for record in caplog.records)
    assert [line.partition(":")[0] for line in told] == ["broken.png", "small.png"]
    assert told[1] == "small.png: 40x8 pixels are fewer than the 16 of a side"


def test_memory_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room nothing is kept, and batches are the same."""
    paths = pictures.paths_of(folder)
    wanted = pictures.Pictures(paths, 16, 0.5).batch(10, np.random.default_rng(0))
    monkeypatch.setattr(pictures, "KEPT", 0)
    source = pictures.Pictures(paths, 16, 0.5)
    assert np.array_equal(source.batch(10, np.random.default_rng(0)), wanted)
    assert source._kept == {}


def test_nothing_usable(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty or missing folder, only broken files, and an unknown category end with the reason."""
    with pytest.raises(DataError, match="none of 2 files is a picture of 16 pixels or more"):
        pictures.Pictures([folder / "broken.png", folder / "small.png"], 16, 1.0).batch(1, np.random.default_rng(0))
    for path in (tmp_path_factory.mktemp("empty"), folder / "missing", folder / "a.png"):
        with pytest.raises(DataError, match="no folder with pictures"):
            pictures.paths_of(path)
    with pytest.raises(DataError, match="no embedded photograph is of castle: there are aerial"):
        pictures.embedded_paths(["castle"])


def test_crops_are_parts_of_the_picture() -> None:
    """A crop shows between `closest` and all of the short side; of a ramp it is a ramp of that much contrast."""
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 256, 3))
    shares = []
    for seed in range(60):
        view = pictures.crop(ramp, 32, 0.25, np.random.default_rng(seed)).astype(float)
        shares.append((view.max() - view.min()) / 255)
    assert 0.2 < min(shares) < 0.4
    assert 0.8 < max(shares) <= 1.0


def test_embedded() -> None:
    """The train photographs alone, of one category or all."""
    everything = pictures.embedded_paths()
    some = pictures.embedded_paths(["landscape", "texture"])
    assert set(some) < set(everything)
    assert pictures.Pictures(some, 64, 0.5).batch(2, np.random.default_rng(0)).shape == (2, 64, 64, 3)
