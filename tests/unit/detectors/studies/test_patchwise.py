"""The study of patches, on a few photographs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from detectors.dataset.items import read_folder
from detectors.dataset.presets import PRESETS
from detectors.patchwise import votes
from detectors.studies.patchwise.runs import Division, divide
from detectors.studies.patchwise.study import study
from detectors.studies.patchwise.tables import balanced, remarks
from detectors.studies.report import StudyReport, StudySettings, write_study
from neurons.datasets.arrangement import arrange, others, parse_preset
from subnet.types import Label
from tests.unit.detectors.dataset.preset_trees import write_tree
from tests.unit.detectors.folders import write_images


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyReport, StudySettings]:
    """Two steps on patches of two sizes."""
    root = tmp_path_factory.mktemp("study")
    for split, count in (("train", 4), ("validation", 3), ("test", 3)):
        write_images(root / split, count, split)
    settings = StudySettings(
        *(root / "train", root / "validation", root / "test", root / "out"),
        quick=True,
        steps=2,
        seed=1,
        others={"other-content": root / "test", "other-generator": root / "validation"},
    )
    return study(settings, (128, 64)), settings


def test_every_experiment_has_its_table(report: tuple[StudyReport, StudySettings]) -> None:
    """Sizes of patches are the columns; every cell is an accuracy, and the page holds them all."""
    found, settings = report
    assert set(found.tables) == {
        *("single", "majority", "random", "reliable", "share", "transfer", "aggregation", "levels"),
    }
    assert {table.columns for table in found.tables.values()} == {("128 px", "64 px")}
    page = write_study(found, settings.out)
    told = json.loads(page.with_name("report.json").read_text())
    for name in ("single", "majority", "random", "reliable", "share", "transfer"):
        assert {cell["value"] for cell in told["tables"][name]["rows"]["always synthetic"].values()} == {0.5}
        assert "Not above always synthetic: " in told["tables"][name]["note"]
    for row in told["tables"]["reliable"]["rows"].values():
        assert all(0 <= cell["value"] <= 1 for cell in row.values())
    assert {"threshold.png", "epochs.png", "verdicts.png"} == set(told["pictures"])
    assert all(claim["command"].count("assay ") for claim in told["not_repeated"])


def test_odd_numbers_are_explained_beside_the_table(report: tuple[StudyReport, StudySettings]) -> None:
    """Too few epochs for five best ones, and sizes that answer .500 after the best: a note says so, and only then."""
    found, _ = report
    for name in ("single", "majority"):
        assert "2 epochs ran: the mean of the 5 best is the mean of all." in found.tables[name].note
    for epochs, even, told in ((2, 0.5, ("did not learn", "2 epochs ran")), (6, 0.9, ())):
        row = [{"value": even, "low": 0.4, "high": 0.6}, {"value": 0.8, "low": 0.7, "high": 0.9}]
        note = remarks(("16 px", "32 px"), {"best epoch": row}, epochs, quick=True)
        assert [part in note for part in ("did not learn", "2 epochs ran")] == [
            part in told for part in ("did not learn", "2 epochs ran")
        ]
        assert ("16 px" in note) is bool(told)
        assert "32 px" not in note


def test_all_patches_is_the_first_row(report: tuple[StudyReport, StudySettings]) -> None:
    """The share of all patches and the best epoch's majority are one number, told twice."""
    found, _ = report
    everything = found.tables["share"].rows["the top 100%"]
    assert everything == found.tables["majority"].rows["majority, a tie is synthetic: best epoch"]


def test_other_content_and_other_generators_are_measured(report: tuple[StudyReport, StudySettings]) -> None:
    """Experiment 5 on further test sets: each by every rule; one that holds the test items has their accuracies."""
    found, _ = report
    rows = found.tables["transfer"].rows
    assert sum(name.startswith("other-generator/: ") for name in rows) == 3
    for rule in ("single patches", "mean of log-odds", "majority, a tie is synthetic"):
        assert rows[f"other-content/: {rule}"] == rows[f"content and generator of training: {rule}"]


def test_the_command_hands_on_further_test_sets(tmp_path: Path) -> None:
    """Of the published set of the study they are two, with the labels and makers that its folders say."""
    spec = parse_preset(f"patchwise:{write_tree(PRESETS['patchwise'], tmp_path / 'set', 3)}")
    assert spec is not None
    found = others(arrange(spec, tmp_path / "home"))
    origins = {name: {item.origin for item in read_folder(folder)} for name, folder in found.items()}
    assert origins == {"other-content": {"lsun-church", "stylegan2"}, "other-generator": {"celeba", "progan"}}


@pytest.mark.slow
def test_weights_of_every_epoch_are_kept(report: tuple[StudyReport, StudySettings]) -> None:
    """One run for each size; a second study goes on from them and finds the same."""
    found, settings = report
    kept = {path.name for path in (settings.out / "weights").glob("*-step-*.safetensors")}
    assert kept == {f"patchwise-{patch}-step-{step}.safetensors" for patch in (128, 64) for step in (1, 2)}
    assert study(settings, (128, 64)).tables == found.tables


def test_what_is_left_out(report: tuple[StudyReport, StudySettings]) -> None:
    """A category of the photographs that are there; a generator only where another one is left."""
    _, settings = report
    records = read_folder(settings.train)
    assert divide(records).generator == divide(records, quick=True).content == ""
    two = [*records, replace(records[-1], label=Label.SYNTHETIC, origin="diffusion")]
    assert divide(two).generator == divide(two, left_out=("ae",)).generator == ""
    assert divide(two, left_out=("diffusion",)).generator == "diffusion"
    assert Division("building", "").photographs
    assert Division("", "").photographs is None


def test_accuracy_is_scikit_learns() -> None:
    """Over whole pictures it is balanced accuracy; over shares of patches, that of all patches."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)), rng.integers(0, 2, 30)
    ones = np.ones((1, 30))
    verdicts = votes.majority(x)
    hits = (verdicts == (y == 1)).astype(float)
    assert balanced(hits, y, ones)[0] == pytest.approx(balanced_accuracy_score(y, verdicts))
    shares = ((x > 0) == (y == 1)[:, None]).mean(axis=1)
    expected = balanced_accuracy_score(np.repeat(y, 5), (x > 0).ravel())
    assert balanced(shares, y, ones)[0] == pytest.approx(expected)
