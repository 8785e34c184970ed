"""The comparison of all detectors: its rows, the controls beside them, the cost, and the pictures of what each looks at."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import comparison, gallery, tables
from detectors import TABLE, load_detector
from detectors.acceleration.benchmark import Throughput
from detectors.evaluation.encoded_size import NAME
from subnet.errors import UnknownName
from subnet.types import Modality
from tests.places import ROOT
from tests.unit.detectors.folders import write_clips

SHIPPED = {row.name for row in TABLE.values() if row.weights}


def test_every_detector_that_ships_has_a_price() -> None:
    """A row of speed and size for each row with weights, and no other; size is that of the file on disk."""
    result = tables.read(tables.RESULTS / "cost.json")
    by_name = {row[0]: dict(zip(result["columns"], row, strict=True)) for row in result["rows"]}
    assert set(by_name) == SHIPPED
    for name, cells in by_name.items():
        parameters, size = comparison.weigh(TABLE[name])
        assert (cells["parameters"], cells["MB"]) == (f"{parameters:,}", f"{size:.2f}")
        if speed := cells["items/s, served"]:
            assert float(speed) > 0
        else:
            assert comparison.TIMING in result["about"][0]


def test_a_stack_weighs_what_its_members_do() -> None:
    """Its own file is small: it counts those that answer for it. What has parameters of its own tells these."""
    assert comparison.weigh(TABLE["npr"])[0] == 1_437_761
    parameters, size = comparison.weigh(TABLE["ensemble"])
    members = [comparison.weigh(TABLE[name]) for name in ("npr", "ucf", "spectral")]
    assert parameters > sum(count for count, _ in members) > parameters - 100
    assert size > sum(megabytes for _, megabytes in members)
    row = comparison.cost_line(TABLE["npr"], Throughput("npr", "eager", 10.04, 20.0, 0.1, 0.05, 0.0))
    assert row == ["npr", "image", "1,437,761", "1,437,761", "2.91", "10.0", "20.0", "50", "eager"]
    assert comparison.cost_line(TABLE["npr"], None)[-5:] == ["2.91", "", "", "", ""]


def test_controls_stand_beside_the_detectors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Clips: every detector in its order, shuffled and still; the size of the file by itself; who uses motion, in words."""
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    names = ("random-video", "constant-video")
    monkeypatch.setattr(comparison, "subjects", lambda modality: [load_detector(name) for name in names])
    comparison.compare("clips", Modality.VIDEO, 4, 0, write_clips(tmp_path / "set", 2))
    result = tables.read(tmp_path / "accuracy-clips.json")
    rows = {row[0]: dict(zip(result["columns"], row, strict=True)) for row in result["rows"]}
    assert list(rows)[-1] == NAME
    assert set(rows) == {*names, NAME}
    for column in comparison.SHOWN.values():
        assert rows["constant-video"][column]["value"] == 0.5
        assert rows["constant-video"]["temporal share"] == "none"
        assert rows[NAME][column] == ""
    assert rows[NAME]["AUC, all"]["value"] > 0.8  # what stands still is small
    assert rows[NAME]["accuracy"] == ""
    assert "no detector" in result["notes"][1]
    assert f"| {NAME} | {rows[NAME]['level 0']['value']:.3f} [" in tables.chapter(result)


def test_pictures_are_of_all_that_ship_and_small() -> None:
    """One for each detector with weights, at most MOST bytes, about 900 pixels wide, on the page with its sentence."""
    text = (ROOT / "docs/detectors.md").read_text()
    assert set(gallery.LOOKS) >= SHIPPED
    assert {path.stem for path in gallery.PICTURES.iterdir()} == SHIPPED
    for name in SHIPPED:
        path = gallery.PICTURES / f"{name}.png"
        assert path.stat().st_size <= gallery.MOST
        with Image.open(path) as opened:
            assert opened.width == pytest.approx(900, abs=20)
        chapter = text.partition(f"### {name}\n")[2].partition("\n#")[0]
        assert gallery.LOOKS[name].sentence in chapter
        assert gallery.outcome(gallery.answered()[name]) in chapter
        assert f"(pictures/detectors/{name}.png)" in chapter


@pytest.mark.parametrize("name", ["ensemble", "patchwise"])
def test_a_picture_is_drawn_again_as_it_is(name: str) -> None:
    """What lies in docs/ shows what the weights that ship answer today: small differences of libraries apart."""
    drawn, answers = gallery.picture(load_detector(name), gallery.LOOKS[name])
    assert answers == pytest.approx(gallery.answered()[name], abs=0.01)
    stored = io.BytesIO((gallery.PICTURES / f"{name}.png").read_bytes())
    now, then = (Image.open(source).convert("RGB") for source in (io.BytesIO(drawn), stored))
    assert now.size == then.size
    assert np.abs(np.asarray(now, dtype=float) - np.asarray(then, dtype=float)).mean() < 3


def test_rows_without_weights_are_passed_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Said by name and not drawn; a name that is not there is an error with the nearest ones."""
    monkeypatch.setattr(gallery, "PICTURES", tmp_path / "pictures")
    without = [name for name in gallery.LOOKS if not TABLE[name].weights]
    if without:
        gallery.main(without[:1])
        assert f"{without[0]}: no weights ship" in capsys.readouterr().err
    assert not (tmp_path / "pictures").exists()
    with pytest.raises(UnknownName, match="npr"):
        gallery.main(["nprr"])
    assert json.loads((tables.RESULTS / "cost.json").read_text())["rows"]
