"""The table of recipes of the field: what goes together, what fits what, and what a training is said to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detectors.dataset.items import read_folder
from detectors.field_recipes.estimate import estimate
from detectors.field_recipes.table import FIELD_RECIPES, check_detector, check_records, combined
from detectors.training.batches import BatchPlan
from detectors.training.loop import Training
from detectors.training.recipes import RECIPES, recipe
from subnet.errors import DataError, SettingsError, UnknownName
from subnet.types import Label
from tests.unit.detectors.folders import write_images


@pytest.mark.parametrize("name", FIELD_RECIPES)
def test_a_row_is_complete(name: str) -> None:
    """It trains a detector that is there, changes fields of the plan that are there, fits it, and names its source."""
    row = FIELD_RECIPES[name]
    assert row.detector in RECIPES
    assert replace(recipe(row.detector).plan, **row.plan)
    assert row.summary
    assert "\n" not in row.summary
    assert row.source
    check_detector(row, row.detector)


def test_rows_go_together() -> None:
    """Several rows set what each sets, the later before the earlier; two that train different things are refused."""
    whole = combined(("chains", "aligned", "matched-history"))
    assert whole.detector == "tower-adapters"
    assert (whole.twins, whole.pairs) == (True, True)
    assert dict(whole.plan) == dict(FIELD_RECIPES["aligned"].plan)
    assert combined(("aligned", "chains")).plan["distortion"] == FIELD_RECIPES["chains"].plan["distortion"]
    with pytest.raises(SettingsError, match="one at a time"):
        combined(("probe", "adapters"))
    with pytest.raises(UnknownName, match="did you mean matched-history"):
        combined(("match-history",))


@pytest.mark.parametrize(
    ("name", "detector", "why"),
    [
        ("matched-history", "spectral", "not trained on"),
        ("matched-history", "segment", "not trained on"),
        ("inpainted", "tall", "judges clips"),
        ("vae-twins", "frames", "judges clips"),
        ("probe", "npr", "trains tower, not npr"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, detector: str, why: str) -> None:
    """A detector that is trained otherwise, or on clips, is named with what it is about."""
    with pytest.raises(SettingsError, match=why):
        check_detector(FIELD_RECIPES[name], detector)


def test_twins_are_asked_for(tmp_path: Path) -> None:
    """In-painting needs twins in the data; without any the way to them is named."""
    records = read_folder(write_images(tmp_path / "set", 2))
    check_records(FIELD_RECIPES["inpainted"], records, "set")
    loners = [replace(record, pair="") for record in records]
    with pytest.raises(DataError, match="--recipe vae-twins"):
        check_records(FIELD_RECIPES["inpainted"], loners, "set")
    check_records(FIELD_RECIPES["chains"], loners, "set")


def test_an_estimate_is_measured(tmp_path: Path) -> None:
    """More steps take longer, in proportion; a file that is broken is passed over, as in the run; more memory than there
    is is refused, naming the flag."""
    records = read_folder(write_images(tmp_path / "set", 2))
    plan = BatchPlan(pairs=1, crop=32)
    run = Training("npr", tmp_path / "set", tmp_path / "out", steps=100, plan=plan)
    told = estimate(run, records)
    assert told
    assert (told.units, told.kind) == (100, "steps")
    assert 0 < told.low < told.high
    assert "100 steps" in str(told)
    next(record for record in records if record.label is Label.REAL).path.write_bytes(b"no picture")
    more = estimate(replace(run, steps=100_000), records)
    assert more
    assert more.low > 50 * told.low
    with pytest.raises(SettingsError, match="--memory"):
        estimate(replace(run, memory=9_000.0), records * 2_000_000)


@pytest.mark.parametrize("name", ["segment", "spectral", "retrieval", "npr-adversarial"])
def test_what_is_trained_otherwise_is_not_stopped(tmp_path: Path, name: str) -> None:
    """Twins go with every detector of pictures: batches of its own are measured as they are, a fitted head by the items
    that go through, and of what is trained in a way of its own nothing is said."""
    records = read_folder(write_images(tmp_path / "set", 2))
    check_detector(FIELD_RECIPES["vae-twins"], name)
    plan = replace(recipe(name).plan, pairs=1, crop=32)
    told = estimate(Training(name, tmp_path / "set", tmp_path / "out", steps=10, plan=plan), records)
    kinds = {"segment": "steps", "spectral": "items"}
    assert (told.kind if told else None) == kinds.get(name)
