"""Data sets in shards, from the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.dataset.contents import clusters
from detectors.dataset.items import load_media, read_folder
from neurons.datasets.leak_gate import check_leaks
from neurons.datasets.program import shards
from neurons.datasets.split import split
from subnet.types import Modality
from tests.unit.detectors.folders import write_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs with twins, as shards that the command has written."""
    root = tmp_path_factory.mktemp("data")
    write_images(root / "loose", 30)
    shards(str(root / "loose"), root / "shards", kind="tar", each=10)
    return root / "shards"


def test_shards_are_split_by_photograph_without_unpacking(folder: Path, tmp_path: Path) -> None:
    """Both sides are an index and a link; every item is on one side, and what shows the same on the same side."""
    sides = [read_folder(side) for side in split(folder, tmp_path / "out", seed=1, share=0.3)]
    whole = read_folder(folder)
    assert sum(map(len, sides)) == len(whole) == 60
    contents = {(each.pair, each.label): number for each, number in zip(whole, clusters(whole).tolist(), strict=True)}
    learnt, held = ({contents[each.pair, each.label] for each in side} for side in sides)
    assert learnt
    assert held
    assert not learnt & held
    assert load_media(sides[1][0]).frames.any()
    assert not list((tmp_path / "out" / "train").rglob("*.png"))


def test_the_gate_against_leaks_looks_into_shards(folder: Path) -> None:
    """Twins that were stored alike pass; the gate reads the items themselves, not the shard."""
    notes: list[str] = []
    check_leaks(folder, Modality.IMAGE, force=False, tell=notes.append)
    assert not any("not checked" in note for note in notes)
