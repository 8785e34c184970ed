"""The study of masks, on a few photographs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from detectors.dataset.items import read_folder
from detectors.studies.report import StudyReport, StudySettings, write_study
from detectors.studies.segment import pictures, study, twins
from subnet.errors import DataError
from tests.unit.detectors.folders import write_clips, write_images


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyReport, StudySettings]:
    """Two steps."""
    root = tmp_path_factory.mktemp("study")
    for split in ("train", "validation", "test"):
        write_images(root / split, 3, split)
    settings = StudySettings(root / "train", root / "validation", root / "test", root / "out", quick=True, steps=2)
    return study(settings), settings


def test_masks_are_measured_for_every_kind(report: tuple[StudyReport, StudySettings]) -> None:
    """F1 and IoU of composites, the share called synthetic of photographs; all in the report with the picture."""
    found, settings = report
    rows = found.tables["trained-level-0"].rows
    kinds = ["synthetic", "in-painted", "spliced", "copy-moved"]
    assert list(rows) == ["photograph", *kinds, *(f"always synthetic: {kind}" for kind in kinds)]
    assert rows["always synthetic: synthetic"][0]["value"] == 1
    assert "Not above always synthetic" in found.tables["trained-level-0"].note
    assert rows["photograph"][0] is None
    told = json.loads(write_study(found, settings.out).with_name("report.json").read_text())
    for row in list(told["tables"]["trained-level-2"]["rows"].values())[1:]:
        assert 0 <= row["IoU of pixels"]["value"] <= row["F1 of pixels"]["value"] <= 1
    assert list(told["pictures"]) == ["masks.png"]


def test_pictures_of_one_photograph_are_shown_alike(report: tuple[StudyReport, StudySettings]) -> None:
    """A composite differs from its photograph under the mask and hardly elsewhere, at every level."""
    _, settings = report
    shown = pictures(settings)
    for first in range(0, len(shown), 10):  # five kinds of one photograph at two levels
        for whole, spliced in zip(shown[first : first + 2], shown[first + 6 : first + 8], strict=True):
            assert (whole.kind, spliced.kind, whole.level) == ("photograph", "spliced", spliced.level)
            apart = abs(spliced.frames.astype(int) - whole.frames)[0].mean(axis=-1)
            assert apart[spliced.truth].mean() > 3 * apart[~spliced.truth].mean()


def test_data_without_pairs_is_refused(report: tuple[StudyReport, StudySettings], tmp_path: Path) -> None:
    """Composites need the photograph of a fake; the error says which field names it."""
    _, settings = report
    write_clips(tmp_path / "test", 1)
    assert twins(read_folder(tmp_path / "test")) == []
    with pytest.raises(DataError, match="field pair"):
        pictures(replace(settings, test=tmp_path / "test"))
