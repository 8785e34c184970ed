"""`assay train --recipe`: each recipe from data on disk to weights that judge, and what is refused before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from detectors.checkpoints import read
from detectors.dataset.items import load_media, read_folder
from detectors.field_recipes.table import FIELD_RECIPES
from detectors.loading import open_detector
from neurons.recipes.twins import Plan, twinned
from subnet.types import Label
from tests.unit.detectors.folders import photos, write_images
from tests.unit.detectors.towers.test_probe import of_timm
from tests.unit.neurons.running import Assay

QUICK = ("--steps", 1, "--pairs", 1, "--device", "cpu")


def test_recipes_are_listed(assay: Assay) -> None:
    """A line each for people, all of it for machines."""
    assert [row["name"] for row in assay("recipes", "--json").json] == list(FIELD_RECIPES)
    assert "matched-history" in assay("recipes").out


def run(assay: Assay, name: str, root: Path, *more: object) -> None:
    """Train by one recipe, and have the weights judge a picture."""
    data, tower, out = write_images(root / "data", 8), of_timm(root / "tower"), root / "out"
    on_tower = FIELD_RECIPES[name].detector.startswith("tower")
    words = ("train", "--recipe", name, "--data", data, "--out", out, *QUICK, *(("--tower", tower) if on_tower else ()))
    ran = assay(*words, *more)
    assert ran.status == 0, ran.err
    assert "were measured" in ran.err
    weights = out / f"{FIELD_RECIPES[name].detector}.safetensors"
    judge = open_detector(f"tower={tower},{weights}" if on_tower else str(weights))
    answer = judge.predict([load_media(read_folder(data)[0])])[0].p_synthetic
    assert 0 <= answer <= 1
    recorded = read(weights).notes["recipe"]["plan"]
    for field, value in FIELD_RECIPES[name].plan.items():
        assert recorded[field] == value


@pytest.mark.slow
@pytest.mark.parametrize("name", FIELD_RECIPES)
def test_each_recipe_trains(assay: Assay, tmp_path: Path, name: str) -> None:
    """Every row, as it stands, on the detector that it trains by default; `aligned` has all of it in one run."""
    run(assay, name, tmp_path, *(("--rank", 2, "--autoencoder", "vae-tiny") if name == "aligned" else ()))


def test_twins_share_content_size_and_history(tmp_path: Path) -> None:
    """Of JPEG photographs of different sizes come pairs of 256 x 256 in one format: content the same, pixels not. What
    is made once is read from then on; fakes that were there stay."""
    data = tmp_path / "data"
    for number, (_, media) in enumerate(photos(3)):
        (data / "real").mkdir(parents=True, exist_ok=True)
        Image.fromarray(media.frames[0]).resize((300 + number, 280)).save(data / "real" / f"{number}.jpg", quality=40)
    (data / "fake").mkdir()
    Image.fromarray(photos(4)[3][1].frames[0]).save(data / "fake" / "old.png")
    plan, told = Plan(("vae-tiny",), 1, 0), []
    folder = twinned(data, plan, tmp_path / "home", told.append)
    records = read_folder(folder)
    assert [record.label for record in records].count(Label.REAL) == 3
    assert sorted(record.origin for record in records if record.label is Label.SYNTHETIC)[1:] == ["vae-tiny"] * 3
    pairs: dict[str, list[float]] = {}
    for record in records:
        frames = load_media(record).frames
        assert frames.shape == (1, 256, 256, 3)
        pairs.setdefault(record.pair, []).append(float(frames.mean()))
    twins = [means for pair, means in pairs.items() if pair]
    assert [len(means) for means in twins] == [2, 2, 2]
    assert all(abs(first - second) < 4 for first, second in twins)
    written = (folder / "index.jsonl").stat().st_mtime_ns
    assert twinned(data, plan, tmp_path / "home", told.append) == folder
    assert (folder / "index.jsonl").stat().st_mtime_ns == written
    assert told == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name what to train"),
        (("--recipe", "probe"), "give a folder, OWNER/NAME@"),
        (("npr", "--recipe", "probe"), "trains tower, not npr"),
        (("npr", "--tower", "x"), "npr takes none"),
        (("tower", "--tower", "x", "--rank", "4"), "tower takes none"),
        (("npr", "--autoencoder", "vae-tiny"), "--recipe vae-twins"),
        (("--recipe", "vae-twins", "--autoencoder", "sdxl"), "makes no twins"),
        (("tall", "--recipe", "inpainted"), "judges clips"),
        (("--recipe", "vae-twin"), "did you mean vae-twins"),
        (("--recipe", "adapters", "--tower", "nowhere"), "nowhere"),
    ],
)
def test_what_does_not_fit_is_refused(assay: Assay, tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    """Before anything is trained, with the fix in the message, and leaving nothing behind."""
    data = write_images(tmp_path / "data", 8)
    ran = assay("train", *words, "--data", data, "--out", tmp_path / "out", *QUICK)
    assert ran.status == 2
    assert "Traceback" not in ran.err
    assert why in ran.err
    assert not (tmp_path / "out").exists()


def test_photographs_alone_are_enough(tmp_path: Path, assay: Assay) -> None:
    """A folder of photographs becomes a training set by its twins; one without photographs is refused."""
    root = write_images(tmp_path / "data", 8)
    rows = [json.loads(line) for line in (root / "index.jsonl").read_text().splitlines()]
    (root / "index.jsonl").write_text("\n".join(json.dumps(row) for row in rows if row["label"] == 0))
    words = ("train", "--recipe", "vae-twins", "--data", root, *QUICK, "--autoencoder", "vae-tiny")
    assert assay(*words, "--out", tmp_path / "out").status == 0
    assert read(tmp_path / "out" / "npr.safetensors").notes["origins"] == ["vae-tiny"]
    (root / "index.jsonl").write_text("\n".join(json.dumps(row) for row in rows if row["label"] == 1))
    assert "no photographs" in assay(*words, "--out", tmp_path / "other").message
