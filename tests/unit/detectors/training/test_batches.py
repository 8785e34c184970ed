"""Pairs as plans make them: regions of twins, one history for both classes, chains of distortions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detectors.dataset.items import DatasetItem, load_media, read_folder
from detectors.training.batches import Batches, BatchPlan, challenge_variant
from subnet.game.augment import distort
from subnet.types import Frames
from tests.unit.detectors.folders import photos, write_images

CLEAR = (1.0, 0.0, 0.0, 0.0)
PLAN = BatchPlan(pairs=6, crop=256, early=CLEAR, late=CLEAR)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[DatasetItem]:
    return read_folder(write_images(tmp_path_factory.mktemp("pairs") / "set", 3))


def changed(records: list[DatasetItem], plan: BatchPlan) -> torch.Tensor:
    """The share of pixels by which each fake of a batch is far from its real."""
    frames = Batches(records, load_media, plan, steps=2, seed=1)[0].frames.float()
    reals, fakes = frames[: plan.pairs], frames[plan.pairs :]
    return ((reals - fakes).abs().amax(dim=2) > 6).float().mean(dim=(1, 2, 3))


def test_regions_of_twins_are_fakes(records: list[DatasetItem]) -> None:
    """In-painted fakes differ from their photographs in a part of what twins differ in, and not in nothing; fakes
    without a twin stay what they are."""
    whole, part = changed(records, PLAN), changed(records, replace(PLAN, inpainted=1.0))
    assert (part < 0.6 * whole).all()
    assert (part > 0).all()
    loners = [replace(each, pair="") for each in records]
    alike = [
        Batches(loners, load_media, plan, steps=2, seed=1)[0].frames for plan in (PLAN, replace(PLAN, inpainted=1.0))
    ]
    assert torch.equal(*alike)


def test_what_a_plan_does_not_ask_changes_nothing(records: list[DatasetItem]) -> None:
    """A plan without the new chances gives the batches that it gave; each of them changes something."""
    plain = Batches(records, load_media, PLAN, steps=2, seed=1)[0].frames
    for name, value in (("inpainted", 1.0), ("history", 1.0), ("distortion", 1.0)):
        asked = Batches(records, load_media, replace(PLAN, **{name: value}), steps=2, seed=1)
        assert not torch.equal(asked[0].frames, plain)
        assert torch.equal(asked[0].frames, asked[0].frames)


def test_history_comes_from_the_files(tmp_path: Path) -> None:
    """Reals stored as coarse JPEG, fakes as the same pixels in PNG: what tells the two apart is gone where matched."""
    for number, (_, media) in enumerate(photos(3)):
        for kind, how in (("real", {"format": "JPEG", "quality": 25}), ("fake", {"format": "PNG"})):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(media.frames[0]).save(tmp_path / kind / f"{number}.{how['format'].lower()}", **how)
    items = [replace(each, pair=each.path.stem, item=each.path.stem) for each in read_folder(tmp_path)]
    before = changed(items, PLAN)
    after = changed(items, replace(PLAN, history=1.0))
    assert (after < 0.5 * before).all()


def test_chains_are_as_long_as_asked(records: list[DatasetItem], monkeypatch: pytest.MonkeyPatch) -> None:
    """From one distortion to as many as asked follow each other, and both of a pair go through the same ones."""
    media, names = load_media(records[0]), []

    def counted(frames: Frames, name: str, strength: float, rng: np.random.Generator) -> Frames:
        names.append(name)
        return distort(frames, name, strength, rng)

    monkeypatch.setattr("detectors.training.batches.distort", counted)
    for longest, lengths in ((1, {1}), (3, {1, 2, 3})):
        met = set()
        for seed in range(12):
            names.clear()
            challenge_variant(media, 0, 1.0, np.random.default_rng(seed), longest)
            met.add(len(names))
        assert met == lengths
    twice = [replace(each, pair="same", path=records[0].path) for each in records[:2]]
    frames = Batches(twice, load_media, replace(PLAN, distortion=1.0, chain=4), steps=2, seed=1)[0].frames
    assert torch.equal(frames[: PLAN.pairs], frames[PLAN.pairs :])


@pytest.mark.parametrize(
    "wrong", [{"chain": 0}, {"history": 1.5}, {"inpainted": -1.0}, {"frames": 4, "span": 4, "history": 0.5}]
)
def test_plans_that_cannot_be(wrong: dict[str, float]) -> None:
    """No chain, chances beyond 0 to 1, and pictures' recipes for clips are refused."""
    with pytest.raises(ValueError, match="chance|chain"):
        BatchPlan(**wrong)  # type: ignore[arg-type]
