"""Holding out a part of a folder: twins stay together, and the same seed holds out the same items."""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors.dataset.items import read_folder
from neurons.datasets.leak_gate import refuse_leaks
from neurons.datasets.split import split
from subnet.codec import image as codec
from subnet.errors import DataError, SettingsError
from subnet.types import Media


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


def frames(root: Path, clips: int, each: int) -> Path:
    """Frames of clips, and a fake of each by the same name, without an index."""
    for side in ("real", "fake/gen"):
        (root / side).mkdir(parents=True)
        for clip, number in product(range(clips), range(each)):
            Image.new("RGB", (8, 8), (clip, number, len(side))).save(root / side / f"clip{clip}_frame{number:03d}.png")
    return root


def test_frames_of_a_clip_stay_together(tmp_path: Path) -> None:
    """No clip has frames, or twins of its frames, on both sides of the split."""
    root = frames(tmp_path / "data", clips=20, each=4)
    sides = [
        {record.path.name.partition("_")[0] for record in read_folder(side)}
        for side in split(root, tmp_path / "out", seed=2)
    ]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 20


def test_crops_of_one_photograph_stay_together(tmp_path: Path) -> None:
    """Pairs that share their item are one cluster: neither side has a part of it."""
    root = folder(tmp_path / "data", 60)
    rows = [json.loads(line) for line in (root / "index.jsonl").read_text().splitlines()]
    rows = [{**row, "item": f"photo-{number // 2 // 3}"} for number, row in enumerate(rows)]
    (root / "index.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sides = [{record.item for record in read_folder(side)} for side in split(root, tmp_path / "out", seed=1)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 20


def test_a_split_of_relative_links_is_readable(tmp_path: Path) -> None:
    """What is written are the files themselves, not links whose way has changed."""
    store = folder(tmp_path / "store", 40)
    data = tmp_path / "data"
    for path in store.rglob("*.png"):
        way = path.relative_to(store)
        (data / way).parent.mkdir(parents=True, exist_ok=True)
        (data / way).symlink_to(Path("../../store") / way)
    for side in split(data, tmp_path / "deeper" / "out"):
        records = read_folder(side)
        assert records
        assert not any(record.path.is_symlink() for record in records)
        assert all(record.path.read_bytes()[:4] == b"\x89PNG" for record in records)


def test_times_do_not_stop_a_training_and_other_leaks_do(tmp_path: Path) -> None:
    """Files copied class after class are warned of; where their format tells the label, --force is a warning too."""
    rng = np.random.default_rng(0)
    for label, side in enumerate(("real", "fake")):
        (tmp_path / side).mkdir()
        for number in range(24):
            noise = Media(rng.integers(0, 256, (1, 72, 72, 3), dtype=np.uint8))
            path = tmp_path / side / f"{rng.integers(10**9):09d}.jpg"
            path.write_bytes(codec.encode_image(noise, 90))
            os.utime(path, (1.7e9 + 60 * label + number / 100,) * 2)
    assert any(note.startswith("time") for note in refuse_leaks(read_folder(tmp_path), force=False))
    for path in (tmp_path / "fake").iterdir():
        path.write_bytes(codec.encode_png(codec.decode_image(path.read_bytes())))
    with pytest.raises(DataError, match=r"format tells the label.*--force"):
        refuse_leaks(read_folder(tmp_path), force=False)
    assert any(note.startswith("format tells the label") for note in refuse_leaks(read_folder(tmp_path), force=True))


@pytest.mark.parametrize(
    ("root", "into"),
    [
        ("mine/train", "mine"),
        ("mine", "mine"),
        ("mine", "mine/runs/data"),
        ("mine/train", "other"),
        ("other", "mine"),
        ("mine", "third"),
    ],
)
def test_nobodys_data_are_replaced(tmp_path: Path, root: str, into: str) -> None:
    """Neither the data themselves nor others that lie where a run divides its own: all that was there stays, alone."""
    for name in ("mine", "other"):
        folder(tmp_path / name / "train", 20)
    folder(tmp_path / "third", 2)  # real/ and fake/, among which train/ would lie
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match="--out: .*name a(nother)? folder"):
        split(tmp_path / root, tmp_path / into)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
