"""`--data everyday`: the exam from its pictures to a report, and what cannot be asked of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurons.datasets.everyday import everyday_folder
from subnet.media.everyday.pictures import Counts
from tests.unit.neurons.running import Assay

FEW = Counts(photographs=4, collages=1, pages=1, resaved=2)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home where the exam lies with a few of its pictures."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    everyday_folder(tmp_path / "home" / "data", counts=FEW)
    return tmp_path


def test_from_pictures_to_a_report(assay: Assay, home: Path) -> None:
    """Every kind has its share, pages and numbers say the same, and the matrix alone gives them again."""
    words = ("evaluate", "random", "--data", "everyday", "--device", "cpu")
    ran = assay(*words, "--json", "--out", home / "report")
    assert ran.status == 0, ran.err
    found = ran.json
    assert (found["items"], found["synthetic"], found["levels"]) == (FEW.total, 0, [0])
    assert {kind: cells["0"]["pictures"] for kind, cells in found["by_kind"].items()}["map"] == 20
    assert len(found["by_kind"]) == 19
    assert found["consistency"]["0"]["one_verdict"]["pictures"] == 2
    page = (home / "report" / "index.html").read_text()
    assert json.loads((home / "report" / "report.json").read_text()) == found
    for kind, cells in found["by_kind"].items():
        row = " ".join(page.partition(f"<td>{kind}</td>")[2].partition("</tr>")[0].split())
        assert f"{cells['0']['value']:.3f}<small>{cells['0']['low']:.2f} to {cells['0']['high']:.2f}" in row
    assert assay("compare", home / "report" / "matrix.parquet", "--json").json == found
    told = assay(*words, "--limit", "60").out
    assert "one verdict, 8 times resaved" in told
    both = assay("evaluate", "--compare", "random", "constant", *words[2:], "--limit", "60", "--json").json
    assert set(both["differences"]) == {"type_1_error"}
    first, second = (each["type_1_error"]["value"] for each in both["findings"])
    assert both["differences"]["type_1_error"]["value"] == pytest.approx(first - second, abs=1e-5)


def test_what_the_exam_is_not_for(assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training, shards, chains, the null and detectors of clips: refused with the reason, before anything is made."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    for words, said in (
        (("train", "npr", "--data", "everyday"), "nothing is trained"),
        (("train", "npr", "--validation", "everyday"), "nothing is trained"),
        (("dataset", "shards", "everyday", tmp_path / "shards"), "nothing is trained"),
        (("evaluate", "random", "--data", "everyday", "--chains"), "--chains"),
        (("evaluate", "random", "--data", "everyday", "--null"), "--null"),
        (("evaluate", "random-video", "--data", "everyday"), "name a detector of images"),
    ):
        ran = assay(*words)
        assert ran.status == 2
        assert said in ran.message, ran.message
    assert not (tmp_path / "home" / "data").exists()
