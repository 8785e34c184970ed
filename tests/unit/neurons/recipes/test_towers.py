"""`assay train tower --tower FILE`: from a frozen tower to the report of the head on it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.cluster import ACTOR, kill_one
from detectors.checkpoints import read
from detectors.training.feature_cache import FEATURES, KEYS
from tests.places import ROOT
from tests.unit.detectors.cluster.joining import ray_variables
from tests.unit.detectors.folders import write_images
from tests.unit.detectors.towers.onnx_file import WIDTH, tower_file
from tests.unit.neurons.running import Assay


def test_from_a_file_to_a_report(assay: Assay, tmp_path: Path) -> None:
    """Features are kept, the head tells blurred twins, its threshold is told, and its report has the zero-pixel null."""
    tower = tower_file(tmp_path / "tower")
    for part, count in (("train", 16), ("validation", 8), ("test", 8)):
        write_images(tmp_path / "data" / part, count, part)
    kept = tmp_path / "run" / "features"
    words = ("train", "tower", "--tower", tower, "--data", tmp_path / "data", "--force", "--json")
    ran = assay(*words, "--out", tmp_path / "run", "--device", "cpu")
    assert ran.status == 0, ran.err
    assert ran.json["auc"] > 0.7
    assert "threshold: above p = 0." in ran.err
    head = tmp_path / "run" / "tower.safetensors"
    assert read(head).notes["threshold"]["reals"] == 8
    size = (kept / FEATURES).stat().st_size
    assert size == 4 * WIDTH * (2 * 32 + 16)
    again = assay(*words, "--features", kept, "--out", tmp_path / "again", "--device", "cpu")
    assert again.status == 0, again.err
    assert (kept / FEATURES).stat().st_size == size
    assert all((read(head).state[key] == value).all() for key, value in _state(tmp_path / "again").items())
    asked = ("evaluate", f"tower={tower},{head}", "--data", tmp_path / "data" / "test", "--levels", "0")
    report = assay(*asked, "--null", "--device", "cpu", "--json")
    assert report.status == 0, report.err
    assert report.json["auc"]["value"] > 0.7
    assert "threshold" in report.json["tpr_at_1_fpr"]
    assert report.json["null"]["auc"]["value"] == 0.5


def _state(run: Path) -> dict[str, object]:
    return read(run / "tower.safetensors").state  # type: ignore[return-value]


def test_features_of_another_tower_are_refused(assay: Assay, tmp_path: Path) -> None:
    """Or of the same one prepared otherwise: status 2 and a line that names both; what was kept is not touched."""
    write_images(tmp_path / "data", 6)
    words = ("--data", tmp_path / "data", "--features", tmp_path / "kept", "--device", "cpu", "--force")
    first = assay("train", "tower", "--tower", tower_file(tmp_path / "a"), *words, "--out", tmp_path / "one")
    assert first.status == 0, first.err
    kept = (tmp_path / "kept" / FEATURES).read_bytes()
    other = assay("train", "tower", "--tower", tower_file(tmp_path / "b", 1), *words, "--out", tmp_path / "two")
    assert other.status == 2
    assert "another tower (sha256:" in other.message
    about = tmp_path / "a" / "preprocessor_config.json"
    about.write_text(about.read_text().replace("[0.5, 0.5, 0.5]", "[0.4, 0.5, 0.5]"))
    same = assay("train", "tower", "--tower", tmp_path / "a" / "tower.onnx", *words, "--out", tmp_path / "two")
    assert same.status == 2
    assert "another tower (preprocess:" in same.message
    assert (tmp_path / "kept" / FEATURES).read_bytes() == kept


def test_a_file_takes_no_adapters(assay: Assay, tmp_path: Path) -> None:
    """It is told before any data are made, and nothing is left behind."""
    ran = assay("train", "--recipe", "adapters", "--tower", tower_file(tmp_path / "a"), "--out", tmp_path / "out")
    assert ran.status == 2
    assert "takes no adapters" in ran.message
    assert not (tmp_path / "out").exists()


def test_only_a_tower_is_computed_by_a_cluster(assay: Assay, tmp_path: Path) -> None:
    """The flag is refused by its name where it would do nothing, before anything is made."""
    ran = assay("train", "npr", "--ray.address", "local", "--out", tmp_path / "out")
    assert ran.status == 2
    assert "--ray.address: a cluster computes features of a frozen tower; npr takes none" in ran.message
    assert not (tmp_path / "out").exists()


@pytest.mark.timeout(600)
def test_a_cluster_keeps_the_same_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`assay train tower` on a local Ray and without: one file of features, one head. Skipped where Ray is missing."""
    _both_ways(tmp_path, monkeypatch, 40, kill=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_worker_costs_no_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that computes is killed (-9) once some are kept: the same file of features and head nevertheless."""
    _both_ways(tmp_path, monkeypatch, 200, kill=True)


def _both_ways(folder: Path, patch: pytest.MonkeyPatch, count: int, *, kill: bool) -> None:
    """Train on `count` real items and their twins with a local Ray and without, and compare what is written."""
    ray_variables(patch, folder)
    tower = tower_file(folder / "tower")
    for part, items in (("train", count), ("validation", 8)):
        write_images(folder / "data" / part, items, part)
    words = ("train", "tower", "--tower", tower, "--data", folder / "data", "--force", "--device", "cpu")
    for out, more in (("ray", ("--ray.address", "local")), ("alone", ())):
        given = [sys.executable, "-m", "neurons", *map(str, words), "--out", str(folder / out), *more]
        with (folder / "log").open("w") as log, subprocess.Popen(given, cwd=ROOT, stdout=log, stderr=log) as ran:
            if kill and more:
                _kill_in_the_middle(ran, folder / out / "features" / FEATURES)
        assert ran.returncode == 0, (folder / "log").read_text()
    for name in (FEATURES, KEYS):
        alone, ray = ((folder / out / "features" / name).read_bytes() for out in ("alone", "ray"))
        assert alone == ray
    heads = [_state(folder / out) for out in ("alone", "ray")]
    assert all((heads[0][key] == value).all() for key, value in heads[1].items())  # type: ignore[attr-defined]


def _kill_in_the_middle(program: subprocess.Popen[bytes], kept: Path) -> None:
    """Kill the actor below `program` as soon as something is kept."""
    while not kept.is_file() or not kept.stat().st_size:
        assert program.poll() is None, "ended before anything was kept"
        time.sleep(0.05)
    assert kill_one(program.pid, ACTOR)
