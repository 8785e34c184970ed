"""The study of aerial images: its tables from known answers, its sheet from a real network, and the whole course."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from detectors.dataset.items import DatasetItem
from detectors.dataset.preset_items import preset_items
from detectors.dataset.presets import PRESETS
from detectors.evaluation.evaluation import Evaluation, Task
from detectors.evaluation.summary import Answers
from detectors.evaluation.summary import answers as answers_of
from detectors.explain.deletion import Deletion
from detectors.explain.maps import Explainable, HeatMap
from detectors.explain.sheet import Explained, explained, sheet
from detectors.rows import HALF, Preprocess
from detectors.studies import STUDIES
from detectors.studies.aerial import (
    COLUMNS,
    balance,
    by_level,
    by_source,
    cells,
    deletions,
    errors,
    faith,
    out_of_balance,
    study,
)
from detectors.studies.report import StudySettings, write_study
from detectors.torch_detector import TorchDetector
from detectors.vit_cam.network import SIDE, VitCam, centre_view
from subnet.types import Label, Media, Modality
from tests.unit.detectors.dataset.preset_trees import write_tree
from tests.unit.detectors.folders import write_images


def answers(p: list[float], y: list[int]) -> Answers:
    """One level, each item a content of its own."""
    count = len(p)
    kinds = np.array(["embedded: aerial"] * count)
    zeros = np.zeros(count, dtype=np.int64)
    return Answers(np.array(p), np.array(y), zeros, np.arange(count), kinds, kinds, zeros, zeros)


def items(reals: int, fakes: int) -> list[DatasetItem]:
    labels = [Label.REAL] * reals + [Label.SYNTHETIC] * fakes
    return [
        DatasetItem(Path(f"{place}.png"), label, Modality.IMAGE, ("camera", "gan")[label], item=str(place))
        for place, label in enumerate(labels)
    ]


def test_errors_of_both_kinds() -> None:
    """One of 20 authentic images called synthetic is 5 % type I, four of 20 the other way 20 % type II."""
    wrong = [0.9] + [0.1] * 19 + [0.1] * 4 + [0.9] * 16
    row = dict(zip(COLUMNS, cells(answers(wrong, [0] * 20 + [1] * 20)), strict=True))
    assert row["items"] == row["contents"] == 40
    for name, value in (("accuracy", 0.875), ("type I error", 0.05), ("type II error", 0.2)):
        cell = row[name]
        assert isinstance(cell, dict)
        assert cell["value"] == pytest.approx(value)
        assert cell["low"] < value < cell["high"]


def test_few_contents_have_no_interval_and_one_class_no_curve() -> None:
    """Four aerial photographs give a value without an interval; authentic ones alone no AUC and no type II error."""
    row = dict(zip(COLUMNS, cells(answers([0.1, 0.2, 0.9, 0.1], [0] * 4)), strict=True))
    assert row["type I error"] == {"value": 0.25, "low": None, "high": None}
    assert row["AUC"] is None
    assert row["type II error"] is None


def judged(records: list[DatasetItem]) -> Evaluation:
    """Every item called synthetic with probability 0.3 or 0.7, as it is; contents are the items themselves."""
    p = np.array([[0.3 + 0.4 * int(record.label)] for record in records])
    return Evaluation(Task("test", Path()), tuple(records), answers_of(records, [0], p), {})


@pytest.mark.parametrize("name", ["dm-aer", "aid", "million-aid"])
def test_published_aerial_sets_are_aerial(name: str, tmp_path: Path) -> None:
    """Photographs of each of them are in the aerial row, by the origin that the preset gives them, and in no other."""
    chosen = PRESETS[name]
    reals = [
        item
        for part in preset_items(chosen, write_tree(chosen, tmp_path, 12)).values()
        for item in part
        if item.label is Label.REAL
    ]
    fakes = [replace(item, label=Label.SYNTHETIC, origin="stylegan2", item=f"made {item.item}") for item in reals]
    rows = errors({"it": judged([*reals, *fakes])}).rows
    assert rows["it: aerial"] == rows["it: all"]
    assert "it: other" not in rows


def test_rows_apart_need_both_classes() -> None:
    """A made picture is aerial by its name or its photograph; a row of one class has no accuracy."""
    rows = [
        *((Label.REAL, "satellite", "a"), (Label.REAL, "photographs", "b"), (Label.SYNTHETIC, "gan", "a")),
        *((Label.SYNTHETIC, "aerial gan", ""), (Label.SYNTHETIC, "gan", "")),
    ]
    records = [
        DatasetItem(Path(f"{place}.png"), label, Modality.IMAGE, origin, pair, str(place))
        for place, (label, origin, pair) in enumerate(rows)
    ]
    table = errors({"it": judged(records)})
    assert {name: row[0] for name, row in table.rows.items() if name.startswith("it")} == {
        "it: all": 5,
        "it: aerial": 3,
        "it: other": 1,
    }
    assert table.rows["it: other"][2] is None
    assert table.rows["it: other"][3] is not None


def test_data_that_say_nothing_are_not_divided() -> None:
    """Where no name says what shows the ground from above, there is one row, and the note says which names would."""
    table = errors({"it": judged(items(3, 3))})
    assert [name for name in table.rows if name.startswith("it")] == ["it: all"]
    assert "aerial, satellite" in table.note


def test_always_synthetic_stands_beside_every_part() -> None:
    """Two thirds synthetic: always saying so is right in two of three, and who is no better is named."""
    records = items(4, 8)
    good, bad = judged(records), judged(records)
    bad = replace(bad, answers=replace(bad.answers, p=1 - bad.answers.p))
    table = errors({"good": good, "bad": bad})
    accuracies = {name: row[2]["value"] for name, row in table.rows.items() if isinstance(row[2], dict)}
    assert accuracies == {"good: all": 1.0, "bad: all": 0.0, "always synthetic: all": pytest.approx(2 / 3)}
    assert "Not above always synthetic in accuracy: bad: all." in table.note
    assert "one ranking" not in table.note
    levels = by_level(bad)
    assert levels.rows["always synthetic: level 0"][2]["value"] == pytest.approx(2 / 3)  # type: ignore[index]
    assert "Not above always synthetic in accuracy: level 0." in levels.note
    assert set(by_source(good).rows) == {"camera", "always synthetic: camera"}


def test_weights_that_a_course_gives_again_are_one_result() -> None:
    """Answers in one order under two calibrations are told to be the same weights."""
    one = judged(items(4, 8))
    other = replace(one, answers=replace(one.answers, p=one.answers.p**2))
    assert "here and there are one ranking and not two results" in errors({"here": one, "there": other}).note


def test_the_caption_says_how_faithful_the_maps_are() -> None:
    """From the numbers of the sheet: each kind with its count and gain, and where they mark nothing."""
    records = items(1, 1)
    games = {Label.REAL: (0.5, True), Label.SYNTHETIC: (-0.25, False)}
    found = [
        Explained(record, 0.5, cast(HeatMap, None), Deletion((0.1,), (gain,), (0.0,)))
        for record, (gain, _) in zip(records, games.values(), strict=True)
    ]
    assert faith(found) == (
        "On authentic images 1 of 1 are faithful, mean gain +0.50 log-odds. On synthetic images 0 of 1 are faithful, "
        "mean gain -0.25 log-odds; there the maps mark no more than chance does."
    )


def test_balance_is_the_same_by_list_and_by_loop() -> None:
    """One authentic image for eight synthetic ones: halves of the list, and halves of the loop's batches."""
    records = items(20, 40)
    assert len(out_of_balance(records)) == 45
    table = balance(records, seed=0)
    assert [list(row) for row in table.rows.values()] == [[5, 40, 0.5, 0.5], [40, 40, 0.5, 0.5]]


def test_a_sheet_of_both_kinds() -> None:
    """Maps and deletion tests of an untrained transformer make one picture, with a row for each pair."""
    torch.manual_seed(0)
    network = VitCam(width=64, depth=2, stem=(4, 4, 8, 8))
    preprocess = Preprocess(HALF, HALF, SIDE, "tiles")
    detector = TorchDetector("vit_cam", Modality.IMAGE, network, preprocess=preprocess, views=centre_view)
    rng = np.random.default_rng(0)
    records = items(1, 2)
    found = [
        explained(
            Explainable(detector, "blocks.-1.norm1", "tokens"),
            record,
            Media(rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)),
            rng,
        )
        for record in records
    ]
    assert all(each.heat_map.heat.shape == (1, SIDE, SIDE) for each in found)
    assert Image.open(io.BytesIO(sheet(found))).size[0] > 1000
    assert [row[0] for row in deletions(found).rows.values()] == [1, 2]


@pytest.mark.slow
def test_the_whole_course(tmp_path: Path) -> None:
    """Training, measuring and explaining on a handful of photographs: every table, every picture, what is missing."""
    folders = [write_images(tmp_path / name, 4, name) for name in ("train", "validation", "test")]
    settings = StudySettings(*folders, tmp_path / "out", quick=True, steps=2)
    index = write_study(study(settings), tmp_path / "out")
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(found["tables"]) == {"errors", "sources", "generators", "levels", "balance", "deletion"}
    assert set(found["pictures"]) == {"maps.png", "roc.png", "levels.png"}
    assert "97 %" in found["not_repeated"][0]["claim"]
    assert index.is_file()
    assert "aerial" in STUDIES
