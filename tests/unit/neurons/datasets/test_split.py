"""Holding out a part of a folder: twins stay together, and the same seed holds out the same items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from detectors.data import read_folder
from neurons.datasets.split import split
from subnet.errors import DataError


def folder(root: Path, pairs: int) -> Path:
    """Pairs of one-coloured pictures with an index."""
    rows = []
    for number in range(pairs):
        for label in (0, 1):
            file = Path(("real", "fake")[label]) / f"{number}.png"
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, label, 0)).save(root / file)
            kind = {"label": label, "modality": "image", "origin": "photos" if label == 0 else "gan"}
            rows.append({"file": str(file), **kind, "pair": f"pair-{number}", "seed": 3, "licence": "CC0-1.0"})
    (root / "index.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def test_pairs_stay_together(tmp_path: Path) -> None:
    """Both sides hold both classes, share no pair, and together are the whole folder, facts and pixels unchanged."""
    root = folder(tmp_path / "data", 40)
    sides = [read_folder(side) for side in split(root, tmp_path / "out", seed=1)]
    pairs = [{record.pair for record in side} for side in sides]
    assert not pairs[0] & pairs[1]
    assert len(pairs[0] | pairs[1]) == 40
    assert 2 <= len(pairs[1]) <= 14
    for record in sides[0] + sides[1]:
        original = root / ("fake" if record.label else "real") / record.path.name
        assert record.path.read_bytes() == original.read_bytes()
        assert (record.seed, record.licence) == (3, "CC0-1.0")


def test_the_seed_decides(tmp_path: Path) -> None:
    """The same seed holds out the same pairs, also when it is done again; another seed holds out others."""
    root = folder(tmp_path / "data", 40)
    held = [
        {record.pair for record in read_folder(split(root, tmp_path / name, seed=seed)[1])}
        for name, seed in (("a", 1), ("a", 1), ("b", 2))
    ]
    assert held[0] == held[1] != held[2]


def test_too_little_to_hold_out(tmp_path: Path) -> None:
    """A side without one of the classes is an error that names --validation."""
    with pytest.raises(DataError, match="--validation"):
        split(folder(tmp_path / "data", 1), tmp_path / "out")


def test_folders_without_index(tmp_path: Path) -> None:
    """real/ and fake/ without an index split too, and keep their origins."""
    root = folder(tmp_path / "data", 40)
    (root / "index.jsonl").unlink()
    learn, held = split(root, tmp_path / "out")
    assert {record.origin for record in read_folder(learn)} == {"real", "fake"}
    assert len(read_folder(learn)) + len(read_folder(held)) == 80
