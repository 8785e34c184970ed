"""Features of a frozen tower in chunks, as the processes of a cluster compute them; on one where Ray is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.cluster.features import Chunk, Tower, in_order, show
from detectors.dataset.items import read_folder
from detectors.training.feature_cache import CHUNK, FEATURES, KEYS, FeatureCache
from detectors.training.fitting import below_head, frozen, in_turns
from detectors.training.loop import Training
from detectors.training.recipes import recipe
from subnet.errors import CheckpointError, DataError
from tests.unit.detectors.folders import write_images
from tests.unit.detectors.towers.onnx_file import tower_file

TOWER = recipe("tower")


def settings(root: Path, count: int = 12) -> Training:
    """Of `count` real items and their twins, each shown twice."""
    write_images(root / "data", count)
    return Training(
        "tower", root / "data", root / "head.safetensors", half=False, network={"tower": tower_file(root / "t")}
    )


def test_chunks_come_to_what_one_process_keeps(tmp_path: Path) -> None:
    """Shown and computed in any order, one of them twice, and written in order: the same file to the last bit."""
    asked = settings(tmp_path, CHUNK // 4)
    shown = in_turns(read_folder(asked.data), TOWER, asked)
    tower = frozen(below_head(asked, TOWER)[0])
    FeatureCache(tmp_path / "alone", tower).rows(shown, print)
    cache = FeatureCache(tmp_path / "kept", tower)
    chunks = [
        Chunk(number, {each.key(): each for each in shown[start : start + CHUNK // 2]})
        for number, start in enumerate(range(0, len(shown), CHUNK // 2))
    ]
    worker = Tower(asked, tower.sha256)
    found = [worker(show(chunk)) for chunk in reversed(chunks)]
    for each in in_order(iter(found)):
        cache.add(each.items)
        cache.add(each.items)
    assert len(cache) == len(shown)
    for name in (FEATURES, KEYS):
        assert (tmp_path / "kept" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert cache.new([each.key() for each in shown], shown) == {}


def test_what_cannot_be_read_has_no_row(tmp_path: Path) -> None:
    """Training itself tells of it; a host that sees no data at all says so by the name of the folder."""
    asked = settings(tmp_path)
    shown = in_turns(read_folder(asked.data), TOWER, asked)
    shown[3].record.path.write_bytes(b"no picture")
    seen = show(Chunk(0, {str(number).encode(): each for number, each in enumerate(shown[:6])}))
    assert list(seen.items) == [b"0", b"1", b"2", b"4", b"5"]
    found = Tower(asked, frozen(below_head(asked, TOWER)[0]).sha256)(seen)
    assert all(np.isfinite(row).all() for row in found.items.values())
    asked.data.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="data is not there on a host"):
        show(Chunk(0, {b"0": shown[0]}))


def test_a_host_with_another_tower_is_refused(tmp_path: Path) -> None:
    """Its rows would be of other weights."""
    with pytest.raises(CheckpointError, match="a host of the cluster has another one"):
        Tower(settings(tmp_path), "0" * 64)
