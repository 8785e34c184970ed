"""`assay study`: what is refused before anything is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors.dataset.presets import PRESETS
from detectors.studies import STUDIES
from detectors.studies.report import Picture, StudyReport, write_study
from neurons.commands.study import study
from neurons.datasets.no_trace import MARK
from subnet.errors import DataError, SettingsError
from subnet.files import TEMPORARY
from subnet.types import Split
from tests.unit.detectors.dataset.preset_trees import write_tree
from tests.unit.detectors.folders import write_images
from tests.unit.neurons.running import Assay


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    """Neither photographs nor another study's report are written among; an interrupted run's folder is gone on with."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.json").write_text(json.dumps({"study": "patchwise"}))
    (tmp_path / "file").write_text("")
    (tmp_path / "weights").mkdir()  # of `assay train`, or copied there: a study would write its own over them
    (tmp_path / "weights" / "vit_cam.safetensors").write_bytes(b"mine")
    refused = {
        "mine": "photo.jpg, which is none",
        "other": "report.json, which is",
        "weights": "vit_cam.safetensors, which is none",
        "file": "is a file",
    }
    for name, told in refused.items():
        with pytest.raises(SettingsError, match=told):
            study("aerial", out=tmp_path / name)
    (tmp_path / "begun" / "weights").mkdir(parents=True)
    (tmp_path / "begun" / MARK).write_text(json.dumps({"study": "aerial"}))
    (tmp_path / "begun" / "vit_cam.state.safetensors").write_bytes(b"")
    (tmp_path / "begun" / f"{TEMPORARY}71-8e0a").write_bytes(b"")
    (tmp_path / "begun" / "maps.png").mkdir()  # where no picture can be written
    pictures = {"roc": Picture(b"", ""), "maps": Picture(b"", "")}
    with pytest.raises(OSError, match="maps.png"):
        write_study(StudyReport("aerial", "", {}, pictures), tmp_path / "begun")
    with pytest.raises(SettingsError, match=r"--data .*without train, validation, test"):
        study("aerial", out=tmp_path / "begun", data=str(tmp_path / "mine"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that nothing is wrong with."""
    root = tmp_path_factory.mktemp("whole")
    for split in Split:
        write_images(root / split, 3, split)
    return root


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("broken", list(Split))
def test_data_that_cannot_be_used_leave_nothing(name: str, broken: Split, whole: Path, tmp_path: Path) -> None:
    """Each study looks at all three folders before it trains: one that lacks a class is named, and no folder made."""
    data, out = tmp_path / "data", tmp_path / "new" / "out"
    shutil.copytree(whole, data)
    index = data / broken / "index.jsonl"
    rows = index.read_text().splitlines()
    index.write_text("\n".join(row for row in rows if json.loads(row)["label"] == 0))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        DataError, match=f"{data / broken}.*holds no synthetic items|6 items in {data}/train are too few"
    ):
        study(name, data=str(data), quick=True, steps=1, out=out, device="cpu")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["aerial", "autoencoder", "cnn-svm", "patchwise", "spectral"])
def test_nothing_of_ones_own_data_is_left_out_by_its_name(name: str, whole: Path, tmp_path: Path) -> None:
    """Fakes in a folder called as an embedded generator are trained on: what is refused is the broken validation set."""
    data = tmp_path / "data"
    shutil.copytree(whole, data)
    for split in Split:
        index = data / split / "index.jsonl"
        index.write_text(index.read_text().replace('"blurred"', '"diffusion"'))
    rows = (data / "validation" / "index.jsonl").read_text().splitlines()
    (data / "validation" / "index.jsonl").write_text("\n".join(row for row in rows if json.loads(row)["label"] == 0))
    told = f"{data}/validation .*holds no synthetic items among 3;|6 items in {data}/train are too few"
    with pytest.raises(DataError, match=told):
        study(name, data=str(data), quick=True, steps=1, out=tmp_path / "out", device="cpu")


def test_too_few_items_for_components_are_told_before_a_network_is_trained(whole: Path, tmp_path: Path) -> None:
    """The machine's need is known at the start: no weights are made, and no folder."""
    with pytest.raises(DataError, match=f"6 items in {whole / 'train'} are too few; give at least 25"):
        study("cnn-svm", data=str(whole), quick=True, steps=1, out=tmp_path / "out", device="cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("study", "aerial", "--quick", "--out"),
        ("train", "npr", "--steps", "1", "--out"),
        ("evaluate", "npr", "--limit", "4", "--out"),
        ("detect", "{photo}", "--explain", "--out"),
        ("generate", "ae-nearest", "--out"),
    ],
    ids=lambda words: words[0],
)
def test_folders_that_cannot_be_written_are_refused_first(
    words: tuple[str, ...], assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, a place below a file and one where nothing can be made: in the same words, before anything is done."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    file = tmp_path / "file.png"
    Image.new("RGB", (72, 72)).save(file)
    shown = [word.format(photo=file) for word in words]
    for out, said in (
        (file, "is a file; name a folder"),
        (file / "x", "cannot write there"),
        ("/proc/x", "cannot write"),
    ):
        ran = assay(*shown, out)
        assert (ran.status, "Traceback" in ran.err) == (2, False)
        assert f"--out {out}" in ran.message
        assert said in ran.message
    assert [path.name for path in tmp_path.iterdir()] == ["file.png"]


def test_a_published_set_that_cannot_be_used_leaves_nothing(tmp_path: Path) -> None:
    """What was held out of it goes again, too."""
    root = write_tree(PRESETS["cifake"], tmp_path / "set", 12)
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        Image.new("RGB", (32, 32), (number, 9, 9)).save(path)
    with pytest.raises(DataError, match="one colour"):
        study("spectral", data=f"cifake:{root}", quick=True, out=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_preset_that_is_not_known_is_no_folder(tmp_path: Path) -> None:
    """Said as by `assay train` and `assay evaluate`, with where presets are listed."""
    with pytest.raises(
        SettingsError, match=r"--data nope:.*: neither a folder, nor PRESET:DIR \(assay dataset presets\)"
    ):
        study("aerial", data=f"nope:{tmp_path}", out=tmp_path / "out", device="cpu")


@pytest.mark.parametrize("name", ["cifake", "dm-aer", "genimage", "140k-real-and-fake-faces"])
def test_a_folder_in_another_layout_is_told_what_it_resembles(name: str, tmp_path: Path) -> None:
    """A published set without its name before it lacks folders, and the error says how it is read."""
    root = write_tree(PRESETS[name], tmp_path / "set")
    with pytest.raises(SettingsError, match=f"without .*; it resembles {name}: write {name}:{root}"):
        study("aerial", data=str(root), out=tmp_path / "out", device="cpu")


@pytest.mark.parametrize("leaking", list(Split))
def test_files_that_give_the_label_away_are_refused(leaking: Split, tmp_path: Path) -> None:
    """No study (the command looks before any of them starts) trains on, chooses by or tests on such data, as `assay train` refuses them; --force is named."""
    data = tmp_path / "data"
    for number, split in enumerate(Split):
        for label in ("real", "fake"):
            for place in range(14):
                pixels = np.random.default_rng([number, place, label == "real"]).integers(0, 256, (72, 72, 3))
                path = data / split / label / f"{place:03}.{'jpg' if (split, label) == (leaking, 'real') else 'png'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=f"{data / leaking}: the files give the label away.*--force"):
        study("retrieval", data=str(data), quick=True, steps=1, out=tmp_path / "out", device="cpu")
    assert sorted(tmp_path.rglob("*")) == before
