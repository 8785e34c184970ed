"""Origins of a plan: resolved once by their names, refused before anything starts, opened where they work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import generators
from neurons.producer.makers import maker_in_worker, makers, resolve, resolve_plan
from neurons.producer.settings import Prompts
from subnet.codec import image as codec
from subnet.errors import SettingsError, UnknownName
from subnet.media.hub.catalog import SOURCES
from subnet.media.pool.item import Cell, parse_cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import PoolPlan, Target, item_rng
from subnet.types import Label, Modality, Split
from tests.unit.neurons.running import Assay

REAL = Cell(Modality.IMAGE, Label.REAL, "embedded")
HUB = next(row for row in SOURCES.values() if row.modality is Modality.IMAGE)


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str]) -> Assay:
    return Assay(capfd)


def test_a_name_stands_for_one_origin(tmp_path: Path) -> None:
    """A folder goes before everything else; then the embedded set, the hub's rows, any repository, a generator."""
    folders = {"holiday": tmp_path, "sdxl": tmp_path}

    def origin(name: str) -> object:
        return resolve(parse_cell(name), Split.TEST, folders)

    assert origin("image/real/embedded") is Split.TEST
    assert origin("image/real/holiday") == origin("image/synthetic/sdxl") == tmp_path
    assert origin(f"image/{HUB.label.name.lower()}/{HUB.name}") == HUB
    assert getattr(origin("video/real/someone/clips"), "repository", None) == "someone/clips"
    assert origin("image/synthetic/ae-nearest") is generators.TABLE["ae-nearest"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("image/synthetic/video-jitter", "video-jitter gives synthetic videos"),
        ("video/synthetic/ae-nearest", "ae-nearest gives synthetic images"),
        (f"video/{HUB.label.name.lower()}/{HUB.name}", f"{HUB.name} gives"),
        ("image/real/hollyday", "no source is called 'hollyday'.*--folder.hollyday PATH"),
        ("image/real/gone", "--folder.gone .*: there is no such folder"),
    ],
)
def test_what_cannot_fill_its_cell_is_refused(tmp_path: Path, cell: str, message: str) -> None:
    """An origin of another kind would fill another cell for ever; it is an error that names the cell or the flag."""
    plan = PoolPlan((Target(REAL, 1), Target(parse_cell(cell), 1)))
    with pytest.raises(SettingsError, match=message):
        resolve_plan(plan, Split.TRAIN, {"gone": tmp_path / "gone"})


def test_a_misspelt_generator_is_named() -> None:
    """The nearest name of the table is part of the error."""
    with pytest.raises(UnknownName, match="ae-nearest"):
        resolve(parse_cell("image/synthetic/ae-neerest"), Split.TRAIN, {})


def test_a_worker_makes_what_the_plain_producer_makes() -> None:
    """The same item of the same cell, pixel by pixel, in a process that knows its cell's name only."""
    fake = Cell(Modality.IMAGE, Label.SYNTHETIC, "ae-nearest")
    plan = PoolPlan((Target(REAL, 1), Target(fake, 1)), seed=7)
    here = makers(plan, resolve_plan(plan, Split.TRAIN, {}), split=Split.TRAIN, device="cpu", prompts=Prompts())
    assert set(here) == {REAL, fake}
    for cell in (REAL, fake):
        there = maker_in_worker(str(cell), "train", "cpu", {})
        one, other = (make(item_rng(plan, cell, 3)) for make in (here[cell], there))
        assert one.provenance == other.provenance
        np.testing.assert_array_equal(one.media.frames, other.media.frames)


def test_one_bad_origin_stops_no_other(assay: Assay, tmp_path: Path) -> None:
    """A folder without one usable picture fails with its reason; the embedded set beside it is filled."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"no picture")
    plan = tmp_path / "plan.toml"
    plan.write_text('total = 4\n[weights]\n"image/real/photos" = 1\n"image/real/embedded" = 1\n')
    words = ("--plan", plan, "--folder.photos", tmp_path / "photos", "--pool.path", tmp_path / "pool")
    ran = assay("producer", *words, "--once", "--json", "--device", "cpu", "--threads", "1")
    assert ran.status == 1
    assert "image/real/photos has 0 of 2" in ran.message
    steps = [json.loads(line) for line in ran.out.splitlines()]
    assert {(step["cell"], step["event"]) for step in steps} == {
        ("image/real/photos", "failed"),
        ("image/real/embedded", "stored"),
    }
    assert "no usable image" in next(step["reason"] for step in steps if step["event"] == "failed")
    pool = Pool(tmp_path / "pool")
    assert pool.levels()[REAL] == 2
    sample = pool.read(pool.items(REAL)[0])
    assert sample is not None
    assert sample.media.frames.shape[1:3] == codec.TARGET_SIZE


def test_threads_are_at_least_one(assay: Assay, tmp_path: Path) -> None:
    """A count that makes no sense is refused before the pool is made."""
    ran = assay("producer", "--threads", "0", "--pool.path", tmp_path / "pool")
    assert ran.status == 2
    assert "--threads must be at least 1" in ran.message
    assert not (tmp_path / "pool").exists()
