"""Towers as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.towers.folder import open_tower
from detectors.towers.probe import features
from subnet.errors import CheckpointError
from subnet.types import Media
from tests.unit.detectors.towers.onnx_file import tower_file


def pictures(seed: int, count: int) -> list[Media]:
    rng = np.random.default_rng(seed)
    return [Media(rng.integers(0, 20 + 90 * n, (1, 80, 90, 3), dtype=np.uint8)) for n in range(count)]


def test_files_that_are_no_tower(tmp_path: Path) -> None:
    """What onnxruntime does not take, and a file without its preprocessor's, name the file."""
    tower = tower_file(tmp_path / "tower")
    plain = [Media(np.full((1, 80, 90, 3), 30 * number, dtype=np.uint8)) for number in range(3)]
    assert np.abs(features(open_tower(str(tower)), plain)).max() < 1e-5
    (tmp_path / "tower" / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
        open_tower(str(tower))
    tower.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"onnxruntime does not take .*tower\.onnx"):
        open_tower(str(tower))


def test_a_picture_does_not_hang_on_those_beside_it(tmp_path: Path) -> None:
    """A file that scales by all that it is given together, as int8 does, says the same of a picture alone."""
    opened = open_tower(str(tower_file(tmp_path / "tower", quantised=True)))
    shown = pictures(3, 3)
    together = features(opened, shown)
    assert np.ptp(together, axis=0).min() > 0
    assert np.array_equal(together, np.concatenate([features(opened, [each]) for each in shown]))
