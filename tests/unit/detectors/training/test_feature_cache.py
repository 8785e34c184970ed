"""Features that are computed once and kept."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.checkpoints import read
from detectors.dataset.items import read_folder
from detectors.heads.linear import LinearPlan, fit_linear
from detectors.training.feature_cache import FEATURES, KEYS, FeatureCache, FrozenTower, Shown
from detectors.training.loop import Training, train
from subnet.errors import DataError, SettingsError
from subnet.types import Media
from tests.unit.detectors.folders import write_images


def tower(seed: int, asked: list[int]) -> FrozenTower:
    """A small network that counts what it is asked for."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 9, 8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)).eval()

    @torch.inference_mode()
    def features(media: list[Media]) -> np.ndarray:
        asked.append(len(media))
        stacked = torch.from_numpy(np.concatenate([each.frames for each in media])).permute(0, 3, 1, 2)
        found: np.ndarray = network(stacked / 255.0).flatten(1).numpy()
        return found

    return FrozenTower(f"{seed:064x}", "0..1", 8, features)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training and validation folders."""
    root = tmp_path_factory.mktemp("data")
    write_images(root / "train", 8, "train")
    write_images(root / "validation", 4, "validation")
    return root


def shown(root: Path, turns: int = 2) -> list[Shown]:
    records = read_folder(root / "train")
    return [Shown(each, root / "train", 0, turn) for turn in range(turns) for each in records]


def test_what_is_kept_is_not_computed_again(root: Path, tmp_path: Path) -> None:
    """The second time, and in another order, rows are the same and the tower is not asked; new turns alone are."""
    asked: list[int] = []
    items = shown(root)
    first, kept = FeatureCache(tmp_path / "kept", tower(1, asked)).rows(items, print)
    assert kept == list(range(32))
    assert sum(asked) == len({each.key() for each in items}) == 32
    again = FeatureCache(tmp_path / "kept", tower(1, asked))
    assert np.array_equal(again.rows(items[::-1], print)[0], first[::-1])
    assert sum(asked) == 32
    again.rows(shown(root, 3), print)
    assert sum(asked) == 48


def test_a_kill_in_the_middle_costs_what_was_half_written(root: Path, tmp_path: Path) -> None:
    """Rows without keys, and half a row, are cut off; the rest is used and completed."""
    asked: list[int] = []
    items = shown(root)
    whole, _ = FeatureCache(tmp_path / "kept", tower(1, asked)).rows(items, print)
    whole = np.array(whole)
    os.truncate(tmp_path / "kept" / KEYS, 16 * 10 + 3)
    os.truncate(tmp_path / "kept" / FEATURES, 4 * 8 * 12 + 5)
    opened = FeatureCache(tmp_path / "kept", tower(1, asked))
    assert len(opened) == 10
    assert np.array_equal(opened.rows(items, print)[0], whole)
    assert sum(asked) == 32 + 22


def test_features_of_other_weights_are_refused(root: Path, tmp_path: Path) -> None:
    """Another tower's rows are neither used nor thrown away: it is told whose they are."""
    items = shown(root, 1)
    first, _ = FeatureCache(tmp_path / "kept", tower(1, [])).rows(items, print)
    first = np.array(first)
    with pytest.raises(SettingsError, match=r"another tower \(sha256: 0{12}, not 0{12}\): name another folder"):
        FeatureCache(tmp_path / "kept", tower(2, []))
    with pytest.raises(SettingsError, match=r"another tower \(preprocess: "):
        FeatureCache(tmp_path / "kept", replace(tower(1, []), preprocess="-1..1"))
    asked: list[int] = []
    again, _ = FeatureCache(tmp_path / "kept", tower(1, asked)).rows(items, print)
    assert not asked
    assert np.array_equal(first, again)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    """A folder of pictures is not taken for a cache, and nothing in it is touched."""
    (tmp_path / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(SettingsError, match="holds other files"):
        FeatureCache(tmp_path, tower(1, []))
    assert (tmp_path / "holiday.jpg").read_bytes() == b"dear"


def test_a_damaged_item_is_left_out_and_told(tmp_path: Path) -> None:
    """Its file is named, and the rows of the others keep their places."""
    write_images(tmp_path / "train", 4)
    items = shown(tmp_path, 1)
    items[2].record.path.write_bytes(b"no picture")
    notes: list[str] = []
    rows, kept = FeatureCache(tmp_path / "kept", tower(1, [])).rows(items, notes.append)
    assert kept == [0, 1, 3, 4, 5, 6, 7]
    assert len(rows) == 7
    assert items[2].record.path.name in notes[0]


def test_a_linear_head_on_a_hundred_thousand_rows_takes_seconds(tmp_path: Path) -> None:
    """An epoch over rows mapped from disk; what two shifted clouds differ in is found, unequal classes or not."""
    rng = np.random.default_rng(0)
    labels = (rng.random(100_000) < 0.1).astype(np.int64)
    x = rng.normal(3.0, 2.0, (100_000, 32)).astype(np.float32)
    x[:, 5] += 4.0 * labels
    x[:, 9] = 1.0
    x.tofile(tmp_path / "rows")
    held = np.memmap(tmp_path / "rows", dtype=np.float32, mode="r").reshape(-1, 32)
    started = time.process_time()
    head = fit_linear(held, labels, LinearPlan(epochs=2))
    assert time.process_time() - started < 20
    log_odds = head(torch.from_numpy(x)).numpy()
    right = (log_odds > 0) == labels
    assert right[labels == 1].mean() > 0.8
    assert right[labels == 0].mean() > 0.8
    with pytest.raises(DataError, match="all of one"):
        fit_linear(held, np.zeros(100_000, dtype=np.int64))
    with pytest.raises(DataError, match="constant"):
        fit_linear(np.ones((10, 3), dtype=np.float32), np.arange(10) % 2)


@pytest.mark.slow
def test_training_with_kept_features_is_the_same_twice(root: Path, tmp_path: Path) -> None:
    """`spectral` with --features: the second run reads them, and ends with the same weights."""
    settings = Training(
        "spectral", root / "train", tmp_path / "a.safetensors", validation_items=6, features=tmp_path / "kept"
    )
    first = train(settings)
    size = (tmp_path / "kept" / FEATURES).stat().st_size
    assert size > 0
    second = train(replace(settings, out=tmp_path / "b.safetensors"))
    assert (tmp_path / "kept" / FEATURES).stat().st_size == size
    a, b = read(first.weights).state, read(second.weights).state
    assert all(torch.equal(a[key], b[key]) for key in a)
