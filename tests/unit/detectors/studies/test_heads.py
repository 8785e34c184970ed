"""Two studies from end to end on a handful of photographs: every table and picture is there, and nothing is made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detectors.studies import STUDIES
from detectors.studies.report import StudySettings, write_study
from subnet.registry import resolve
from tests.unit.detectors.folders import write_images

TABLES = {
    "autoencoder": {"variants", "levels", "generators", "reconstruction", "samples"},
    "cnn-svm": {"performance", "confusion", "levels", "generators", "variance", "clusters", "maps"},
}
PICTURES = {
    "autoencoder": {"stage-1.png", "stage-2.png", "reconstructions.png"},
    "cnn-svm": {"components.png", "variance.png", "confusion.png", "maps.png"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoencoder", "cnn-svm"])
def test_a_study_runs_from_end_to_end(name: str, tmp_path: Path) -> None:
    """Trained for two steps, measured, written; probabilities of samples add up, accuracies lie in [0, 1]."""
    data = {split: write_images(tmp_path / split, count, split) for split, count in SIZES.items()}
    out = tmp_path / "out"
    settings = StudySettings(data["train"], data["validation"], data["test"], out, quick=True, steps=2)
    report = resolve(STUDIES[name].target)(settings)
    write_study(report, out)
    written = json.loads((out / "report.json").read_text())
    assert written["tables"].keys() == TABLES[name]
    assert written["pictures"].keys() == PICTURES[name]
    assert all((out / picture).read_bytes().startswith(b"\x89PNG") for picture in PICTURES[name])
    assert all(claim["command"].startswith("assay ") for claim in written["not_repeated"])
    rows = written["tables"][next(iter(report.tables))]["rows"]
    assert all(0 <= row["accuracy"]["value"] <= 1 for row in rows.values())
    assert rows["always synthetic"]["recall"]["value"] == 1
    assert "Not above always synthetic in accuracy and AUC: " in next(iter(report.tables.values())).note
    for row in written["tables"].get("samples", {"rows": {}})["rows"].values():
        assert row["fake"] + row["real"] == pytest.approx(1)
    for network, row in written["tables"].get("confusion", {"rows": {}})["rows"].items():
        right = row["real called real"] + row["synthetic called synthetic"]
        assert right / sum(row.values()) == pytest.approx(rows[network]["accuracy"]["value"])


SIZES = {"train": 13, "validation": 2, "test": 4}
