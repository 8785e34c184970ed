"""Adversarial training, for real on a few photographs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from detectors.checkpoints import HERE, read
from detectors.dataset.items import read_folder
from detectors.training import adversarial
from detectors.training.adversarial import Adversary, crops, detector, fool, train_adversarial
from detectors.training.batches import BatchPlan
from detectors.training.loop import Progress, Training
from generators.embedded.autoencoder import open_adversary
from subnet.errors import SettingsError
from tests.unit.detectors.folders import photos, write_images

NPR = HERE / "npr.safetensors"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_images(root / "train", 3, "train")
    write_images(root / "validation", 2, "validation")
    return root


def settings(root: Path, **changes: object) -> Training:
    plan = BatchPlan(pairs=1, crop=32)
    given: dict[str, object] = {"init": NPR, "steps": 2, "plan": plan, "validation_items": 4, "save_every": 1}
    return Training("npr-adversarial", root / "train", root / "npr-adversarial.safetensors", **{**given, **changes})  # type: ignore[arg-type]


def test_the_decoder_learns_to_fool(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a few steps what it draws is called synthetic less, while the detector stays as it was."""
    monkeypatch.setattr(adversarial, "CROP", 64)
    monkeypatch.setattr(adversarial, "BATCH", 4)
    network, preprocess = detector(NPR, settings(root))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    frames = [media.frames[0] for _, media in photos(2)]
    course = fool(Adversary(*open_adversary()), (network, preprocess), crops(frames, 0, 0), 12)
    assert sum(course[-3:]) / 3 < sum(course[:3]) / 3 - 0.5
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_turns_of_both(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn adds twins of the photographs as an origin of its own; the result is an npr; steps are told as one run;
    the same command again ends with the same weights and draws nothing anew."""
    monkeypatch.setattr(adversarial, "TURNS", 2)
    monkeypatch.setattr(adversarial, "DECODER_STEPS", 1)
    monkeypatch.setattr(adversarial, "CROP", 32)
    told: list[Progress] = []
    outcome = train_adversarial(settings(root), told.append)
    assert [(step.step, step.steps) for step in told] == [(1, 2), (2, 2)]
    records = read_folder(root / "npr-adversarial-turn2")
    assert Counter(record.origin for record in records) == {
        **{"embedded": 3, "blurred": 3},
        **{f"adversary-{turn}": 3 for turn in (1, 2)},
    }
    reals = {record.pair for record in records if record.label == 0}
    assert {record.pair for record in records if record.origin == "adversary-2"} == reals
    assert read(outcome.weights).notes["detector"] == "npr"
    drawn = [record.path for record in records if record.origin.startswith("adversary")]
    times = [path.stat().st_mtime_ns for path in drawn]
    again = train_adversarial(settings(root))
    assert again.sha256 == outcome.sha256
    assert [path.stat().st_mtime_ns for path in drawn] == times


def test_it_needs_weights_to_start_from(root: Path) -> None:
    """Without a detector there is nobody to fool."""
    with pytest.raises(SettingsError, match="starts from trained weights of npr"):
        train_adversarial(settings(root, init=None))
