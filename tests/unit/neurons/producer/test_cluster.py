"""`assay producer --ray`: the plan's origins as workers, and a pool that a local Ray fills."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neurons.producer.cluster import workers_of
from neurons.producer.makers import resolve_plan
from neurons.producer.settings import Cluster
from subnet.codec import image as codec
from subnet.errors import SettingsError
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import PoolPlan, Target, item_rng
from subnet.types import Label, Modality, Split
from tests.places import ROOT
from tests.unit.neurons.running import Assay

REAL = Cell(Modality.IMAGE, Label.REAL, "embedded")


def fake(name: str) -> Cell:
    return Cell(Modality.IMAGE, Label.SYNTHETIC, name)


def plan_of(*cells: Cell) -> PoolPlan:
    return PoolPlan(tuple(Target(cell, 4) for cell in cells))


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str]) -> Assay:
    return Assay(capfd)


def test_models_share_a_card_as_far_as_they_fit() -> None:
    """What runs on a CPU takes no card, a model the part that its row needs; processors are shared out evenly."""
    plan = plan_of(REAL, fake("ae-nearest"), fake("sdxl"), fake("realvisxl"))
    origins = resolve_plan(plan, Split.TRAIN, {})
    workers = workers_of(plan, origins, {"split": "train"}, {"CPU": 2.0, "GPU": 1.0}, card=24.0)
    assert [worker.gpus for worker in workers] == [0.0, 0.0, 0.5, 0.5]
    assert [worker.cpus for worker in workers] == [0.5] * 4
    assert workers[2].arguments == {"split": "train", "cell": "image/synthetic/sdxl"}
    roomy = workers_of(plan, origins, {}, {"CPU": 64.0, "GPU": 1.0}, card=24.0)
    assert [worker.cpus for worker in roomy] == [1.0] * 4


@pytest.mark.parametrize(("cards", "card"), [(0, 24.0), (1, 8.0), (1, 16.0)])
def test_a_model_without_a_card_is_told_before_the_start(cards: int, card: float) -> None:
    """No card, one too small, or one too few: a worker that would wait for ever is the user's to settle."""
    plan = plan_of(fake("sdxl"), fake("realvisxl"))
    with pytest.raises(SettingsError, match=r"needs [0-9.]+ of a card of .* --ray.card_gigabytes"):
        workers_of(plan, resolve_plan(plan, Split.TRAIN, {}), {}, {"CPU": 8.0, "GPU": float(cards)}, card=card)


def test_settings_of_ray_ask_for_ray(assay: Assay, tmp_path: Path) -> None:
    """An address without --ray, and a card without memory, are refused in one line."""
    ran = assay("producer", "--ray.address", "auto", "--pool.path", tmp_path / "pool", "--once", "--total", 1)
    assert ran.status == 2
    assert "add --ray" in ran.message
    with pytest.raises(SettingsError, match="card_gigabytes"):
        Cluster(card_gigabytes=0.0)


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_a_local_ray_fills_the_pool(assay: Assay, tmp_path: Path) -> None:
    """Embedded set, a folder and two generators: full, whole, and with the items that the plain producer makes."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        drawn = EmbeddedSource(Split.TRAIN).draw(Modality.IMAGE, Label.REAL, item_rng(plan_of(REAL), REAL, number))
        (photos / f"{number}.png").write_bytes(codec.encode_png(drawn.media))
    weights = {
        "image/real/embedded": 3,
        "image/real/holiday": 2,
        "image/synthetic/ae-nearest": 3,
        "video/synthetic/video-latent": 1,
    }
    plan = tmp_path / "plan.toml"
    lines = "\n".join(f'"{name}" = {weight}' for name, weight in weights.items())
    plan.write_text(f"total = 9\nseed = 3\n[weights]\n{lines}\n")
    flags = ["--once", "--json", "--plan", plan, "--folder.holiday", photos, "--device", "cpu"]
    words = ["producer", "--ray", *flags, "--pool.path", tmp_path / "ray"]
    ran = subprocess.run(
        [sys.executable, "-m", "neurons", *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    steps = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted(step["cell"] for step in steps) == sorted(
        name for name, weight in weights.items() for _ in range(weight)
    )
    assert {step["event"] for step in steps} == {"stored"}
    checked = assay("pool", "verify", "--decode", "--json", "--pool.path", tmp_path / "ray")
    assert (checked.status, checked.json) == (0, {"valid": 9, "quarantined": []})
    assert assay("producer", *flags, "--pool.path", tmp_path / "plain").status == 0
    ray, plain = Pool(tmp_path / "ray"), Pool(tmp_path / "plain")
    reals = [cell for cell in plain.cells() if cell.label is Label.REAL]
    assert len(reals) == 2
    for cell in plain.cells():
        names = [[(item.sequence, item.stream) for item in pool.items(cell)] for pool in (ray, plain)]
        assert names[0] == names[1]
    for cell in reals:  # pixels of generators may differ in rounding with the number of threads
        assert [item.content for item in ray.items(cell)] == [item.content for item in plain.items(cell)]
