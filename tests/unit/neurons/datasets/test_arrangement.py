"""Published data sets are read where they lie: an index and a link for each split, and not one file copied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detectors.dataset.contents import clusters
from detectors.dataset.items import read_folder
from detectors.dataset.presets import PRESETS
from neurons.commands.evaluate import data_folder
from neurons.datasets.arrangement import (
    arrange,
    divided,
    judged,
    parse_preset,
    three_ways,
    train_part,
    tuning_part,
    two_ways,
)
from subnet.errors import SettingsError
from subnet.types import Label, Modality
from tests.unit.detectors.dataset.preset_trees import write_tree


def test_names_before_the_colon(tmp_path: Path) -> None:
    """A preset with a folder is one; other texts are none; a folder that is not there is told."""
    spec = parse_preset(f"cifake:{tmp_path}")
    assert spec is not None
    assert spec.root == tmp_path
    assert parse_preset(str(tmp_path)) is None
    assert parse_preset("embedded:test") is None
    with pytest.raises(SettingsError, match="write cifake:DIR"):
        parse_preset(f"cifake:{tmp_path}/nowhere")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_needs_its_directory(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing behind the colon, or without one, every preset says how it is written; a folder of its name is one."""
    monkeypatch.chdir(tmp_path)
    for text in (f"{name}:", name):
        with pytest.raises(SettingsError, match=re.escape(f"give a directory after the colon: {name}:DIR")):
            parse_preset(text)
    (tmp_path / name).mkdir()
    assert parse_preset(name) is None


def test_splits_are_folders_with_links(tmp_path: Path) -> None:
    """train/ and test/ hold the items of the authors' splits; the files stay where they are, and are not written to."""
    root = write_tree(PRESETS["cifake"], tmp_path / "set", 3)
    before = sorted(root.rglob("*"))
    spec = parse_preset(f"cifake:{root}")
    assert spec is not None
    folder = arrange(spec, tmp_path / "home")
    assert arrange(spec, tmp_path / "home") == folder
    for name in ("train", "test"):
        items = read_folder(folder / name)
        assert len(items) == 6
        assert all(item.path.resolve().is_relative_to(root / name) and item.path.is_file() for item in items)
        assert {item.licence for item in items} == {"MIT"}
    assert judged(folder) == folder / "test"
    assert sorted(root.rglob("*")) == before


def test_three_ways_share_no_content(tmp_path: Path) -> None:
    """What has no validation set, or no division at all, is held out by content; a validation set is the test set."""
    for name in ("cifake", "real-and-fake-face-detection", "dm-aer"):
        spec = parse_preset(f"{name}:{write_tree(PRESETS[name], tmp_path / name, 40)}")
        assert spec is not None
        folders = three_ways(arrange(spec, tmp_path / "home"), tmp_path / "out" / name)
        sides = [read_folder(folder) for folder in folders]
        numbers = clusters([item for side in sides for item in side]).tolist()
        parts = [{numbers.pop(0) for _ in side} for side in sides]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert all({item.label for item in side} == set(Label) for side in sides)
        if name == "dm-aer":
            assert all("validation" in item.path.resolve().parts for item in sides[2])


def test_an_evaluation_reads_the_test_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data cifake:DIR` is the folder of its test items."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    root = write_tree(PRESETS["cifake"], tmp_path / "set")
    folder = data_folder(f"cifake:{root}", Modality.IMAGE, None, 0, "cpu")
    assert all("test" in item.path.resolve().parts for item in read_folder(folder))


def test_what_is_evaluated_on_chooses_nothing(tmp_path: Path) -> None:
    """A published validation set without a test set beside it is judged by, so that a part of train/ is held out."""
    for name, published in (("dm-aer", True), ("dm-aer", False), ("140k-real-and-fake-faces", True)):
        spec = parse_preset(f"{name}:{write_tree(PRESETS[name], tmp_path / f'{name}-{published}', 40)}")
        assert spec is not None
        folder = arrange(spec, tmp_path / "home")
        learn, held = two_ways(folder, tmp_path / "out" / f"{name}-{published}", published=published)
        files = [{item.path.resolve() for item in read_folder(part)} for part in (learn, held, judged(folder))]
        assert not files[0] & files[1]
        assert not files[0] & files[2]
        assert bool(files[1] & files[2]) is (name == "dm-aer" and not published)


def test_nothing_is_tuned_on_a_test_set(tmp_path: Path) -> None:
    """Given as --validation, a divided folder is its validation part, whatever that is called; without one it is refused."""
    for names, part in ((("train", "val", "test"), "val"), (("valid", "testing"), "valid"), ((), ".")):
        root = tmp_path / "-".join(["set", *names])
        for name in ("real", *names):
            (root / name).mkdir(parents=True)
        assert tuning_part(root, "mine") == root / part
    (tmp_path / "cut" / "train").mkdir(parents=True)
    assert tuning_part(tmp_path / "cut", "mine") == tmp_path / "cut"
    (tmp_path / "cut" / "test").mkdir()
    with pytest.raises(SettingsError, match="--validation mine: has a test set and no validation set"):
        tuning_part(tmp_path / "cut", "mine")


def test_a_folder_called_train_may_show_trains(tmp_path: Path) -> None:
    """Beside a part to judge by it is what is trained on; beside other kinds of things it is one of them."""
    for name in ("airplane", "train"):
        (tmp_path / name / "0_real").mkdir(parents=True)
    assert (divided(tmp_path), train_part(tmp_path)) == (False, tmp_path)
    (tmp_path / "val").mkdir()
    assert (divided(tmp_path), train_part(tmp_path)) == (True, tmp_path / "train")
