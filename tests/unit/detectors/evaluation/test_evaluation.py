"""Evaluation from a folder to a report, and what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.baselines import Constant
from detectors.dataset.contents import clusters
from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import read_folder
from detectors.evaluation.answering import View, variants
from detectors.evaluation.evaluation import Task, compare, evaluate, items
from detectors.evaluation.report.write import write_report
from detectors.evaluation.robustness import chain_views, robustness
from detectors.evaluation.selection import select
from detectors.loading import open_detector
from neurons.commands.evaluate import evaluate as command
from neurons.ray_cluster import JobSettings
from subnet.codec import image as codec
from subnet.errors import CheckpointError, DataError, SettingsError, UnknownName
from subnet.media.leak.appearance import sharpness
from subnet.types import Label, Media, Modality, Prediction
from tests.unit.detectors.folders import write_clips, write_images


class Blurriness:
    """Calls synthetic what is not sharp: right about twins that were shrunk and blown up again."""

    name, modality, weights_hash = "blurriness", Modality.IMAGE, ""

    def predict(self, batch: list[Media]) -> list[Prediction]:
        return [Prediction(1 / (1 + (sharpness(media.frames) / 400) ** 2)) for media in batch]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "set", 8)


def test_what_is_shown_depends_on_seed_item_and_view_alone(folder: Path) -> None:
    """Shown again it is the same to the last bit, whatever else is shown; another seed shows something else."""
    record = read_folder(folder)[0]
    alone = variants(record, [View(3)], folder, 0)[0]
    among = variants(record, [View(0), View(1), View(3)], folder, 0)[2]
    np.testing.assert_array_equal(alone.frames, among.frames)
    assert not np.array_equal(alone.frames, variants(record, [View(3)], folder, 1)[0].frames)


def test_media_of_any_size_become_challenges(tmp_path: Path) -> None:
    """A large photograph is cut to 256 x 256 and a long clip to 16 frames, the same ones for the same seed."""
    rng = np.random.default_rng(0)
    for side in ("real", "fake"):
        (tmp_path / side / "deep" / "er").mkdir(parents=True)
    big = Media(rng.integers(0, 256, (1, 300, 500, 3), dtype=np.uint8))
    (tmp_path / "real" / "deep" / "er" / "a.png").write_bytes(codec.encode_png(big))
    clip = Media(rng.integers(0, 256, (20, 256, 256, 3), dtype=np.uint8), 10.0)
    (tmp_path / "fake" / "deep" / "er" / "b.mp4").write_bytes(codec.encode_video(clip, 20))
    for record, count in zip(sorted(read_folder(tmp_path), key=lambda r: -r.label), (16, 1), strict=True):
        key = key_of(record, tmp_path)
        cut = challenge_media(record, key, 3)
        assert cut.frames.shape == (count, 256, 256, 3)
        np.testing.assert_array_equal(cut.frames, challenge_media(record, key, 3).frames)


def test_findings_compare_and_report(tmp_path: Path) -> None:
    """Same seed, same findings; a better detector is surely better; the report is one page with all its pictures."""
    folder = write_images(tmp_path / "set", 11, "validation")  # of eleven sources
    task = Task("blurred twins", folder, levels=(0, 1), workers=1)
    records = items(task, Modality.IMAGE)
    better, constant = evaluate([Blurriness(), Constant("constant")], task, records)
    assert evaluate([Blurriness()], task, records)[0].findings == better.findings
    assert better.findings["auc"]["value"] > 0.7
    assert better.findings["answers"] == 44
    assert all(name.startswith("embedded: ") for name in better.findings["by_source"])
    differences = compare(better, constant)
    assert differences["differences"]["auc"]["sure"]
    assert differences["differences"]["auc"]["value"] == pytest.approx(better.findings["auc"]["value"] - 0.5, abs=1e-6)
    robust = robustness([Blurriness()], Task("x", folder, limit=4, workers=1), records[:4], strengths=(1.0,), times=50)
    page = write_report(better, tmp_path / "report", robust=robust[0], comparison=differences).read_text()
    assert page.count("data:image/png;base64,") == 6
    assert "http" not in page.replace("http-equiv", "")
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert told["auc"] == better.findings["auc"]
    assert set(told["robustness"]) == {view.chain for view in chain_views(Modality.IMAGE)} - {""}
    assert len(told["robustness"]["blur"]["points"]) == 2


def test_command_prints_one_object(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line of --json is the findings, the same for the same seed, and a report folder is written."""
    lines = []
    for _ in range(2):
        command("random", data=str(folder), limit=8, seed=3, json=True, device="cpu", out=tmp_path / "out")
        lines.append(capsys.readouterr().out.splitlines()[-1])
    assert lines[0] == lines[1]
    found = json.loads(lines[0])
    for name in ("accuracy", "balanced_accuracy", "mcc", "auc", "ap", "brier", "ece"):
        assert set(found[name]) == {"value", "low", "high"}
    assert {"by_level", "by_generator", "by_source", "reward"} <= set(found)
    assert found["items"] == 8
    assert (tmp_path / "out" / "index.html").is_file()
    command(compare=("random", "constant"), data=str(folder), limit=4, json=True, device="cpu")
    both = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"differences", "by_level", "findings"} <= set(both)


def test_limit_keeps_classes_origins_and_twins(folder: Path) -> None:
    """Half of a limited set is real, and fakes come with the photographs that they were made from."""
    kept = select(read_folder(folder), Modality.IMAGE, 6, 0, "x")
    assert [sum(r.label is label for r in kept) for label in Label] == [3, 3]
    assert {r.pair for r in kept if r.label is Label.REAL} == {r.pair for r in kept if r.label is Label.SYNTHETIC}
    assert len(set(clusters(kept).tolist())) <= 3


def test_data_that_cannot_be_evaluated_on(folder: Path, tmp_path: Path) -> None:
    """One class, none of the modality, an unreadable file and a clip of three frames each say what is wrong."""
    records = read_folder(folder)
    with pytest.raises(DataError, match="no synthetic items"):
        select([r for r in records if r.label is Label.REAL], Modality.IMAGE, None, 0, "x")
    with pytest.raises(DataError, match="no videos"):
        select(records, Modality.VIDEO, None, 0, "x")
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    with pytest.raises(DataError, match="real/ and fake/"):
        items(Task("x", tmp_path), Modality.IMAGE)
    for side in ("real", "fake"):
        (tmp_path / side / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    task = Task("x", tmp_path)
    with pytest.raises(DataError, match=r"1 of the 1 real items of x .* are of no use: the image file ends"):
        evaluate([Blurriness()], task, items(task, Modality.IMAGE))
    short = write_clips(tmp_path / "short", 1, frames=3)
    with pytest.raises(DataError, match="3 frames; a clip needs at least 4"):
        variants(read_folder(short)[0], [View(0)], short, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": "7"},
        {"levels": ","},
        {"limit": 1},
        {"device": "abacus"},
        {"data": "embedded:everything"},
        {"ray": JobSettings("local")},
    ],
)
def test_wrong_flags_cost_nothing(wrong: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set is made and no detector loaded for a setting that is wrong anyhow: told in well below a second."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    began = time.process_time()
    with pytest.raises(SettingsError):
        command("npr", **{"data": "embedded:test", "device": "cpu", **wrong})
    assert time.process_time() - began < 1.0
    assert not (tmp_path / "home").exists()


def test_a_report_that_cannot_be_written_is_told_first(tmp_path: Path) -> None:
    """--out below a file: one line before anything is measured."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="--out"):
        command("random", out=tmp_path / "file" / "report", device="cpu")


def test_too_few_photographs_are_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Eight crops of two photographs are two: no interval anywhere, in words, in JSON and in the report."""
    command("random", data=str(folder), levels="0", device="cpu", out=tmp_path / "out")
    told = capsys.readouterr()
    assert "too few" in told.out
    assert "2 of a class" in told.err
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["clusters_by_class"] == {"real": 2, "synthetic": 2}
    assert found["auc"]["low"] is found["auc"]["high"] is None
    assert "too few" in (tmp_path / "out" / "index.html").read_text()


def test_flags_that_are_wrong(folder: Path, tmp_path: Path) -> None:
    """Levels, limits, data sets and detectors that are not there are told by the flag's name."""
    with pytest.raises(SettingsError, match="levels"):
        command("random", data=str(folder), levels="low", device="cpu")
    with pytest.raises(SettingsError, match=r"--levels 7: choose from 0, 1, 2, 3"):
        command("random", data=str(folder), levels="7", device="cpu")
    with pytest.raises(SettingsError, match="limit"):
        command("random", data=str(folder), limit=1, device="cpu")
    with pytest.raises(SettingsError, match="--data"):
        command("random", data=str(tmp_path / "none"), device="cpu")
    with pytest.raises(SettingsError, match="compare"):
        command("random", compare=("random", "constant"), device="cpu")
    with pytest.raises(SettingsError, match="same modality"):
        command(compare=("random", "random-video"), data=str(folder), device="cpu")
    with pytest.raises(UnknownName, match="random"):
        open_detector("rondom")
    (tmp_path / "unknown.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        open_detector(str(tmp_path / "unknown.safetensors"))
    with pytest.raises(CheckpointError, match="not a file"):
        open_detector("npr=nowhere.pth")
