"""Towers with low-rank adapters: trained by the loop on small towers of both libraries, and judged by the row `tower`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.checkpoints import read
from detectors.dataset.items import load_media, read_folder
from detectors.loading import open_detector
from detectors.torch_detector import TorchDetector
from detectors.towers.adapters import Adapted
from detectors.towers.folder import open_tower
from detectors.training.batches import BatchPlan
from detectors.training.loop import Training, train
from subnet.errors import CheckpointError, SettingsError
from subnet.types import Media
from tests.unit.detectors.folders import write_images
from tests.unit.detectors.towers.test_probe import of_timm, of_transformers

SPAN = {"pairs": 2, "crop": 256}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_images(root / "train", 3, "train")
    write_images(root / "validation", 2, "validation")
    return root


def settings(data: Path, tower: Path, out: Path, **changes: object) -> Training:
    given: dict[str, object] = {
        "detector": "tower-adapters",
        "data": data / "train",
        "out": out,
        "steps": 4,
        "plan": BatchPlan(**SPAN),  # type: ignore[arg-type]
        "evaluate_every": 4,
        "save_every": 2,
        "validation_items": 4,
        "network": {"tower": tower, "rank": 2},
        "half": False,
        "learning_rate": 1e-2,
    }
    return Training(**{**given, **changes})  # type: ignore[arg-type]


def media(data: Path) -> list[Media]:
    return [load_media(record) for record in read_folder(data / "validation")]


@pytest.mark.parametrize("kind", ["timm", "clip", "dinov2"])
def test_what_is_trained_is_what_the_row_judges(data: Path, tmp_path: Path, kind: str) -> None:
    """The head is fitted first, adapters are trained with it, and `tower=TOWER,FILE` answers as the trained network
    does: from a file that holds adapters and head alone, without peft."""
    folder = of_timm(tmp_path / "tower") if kind == "timm" else of_transformers(tmp_path / "tower", kind)
    outcome = train(settings(data, folder, tmp_path / "out.safetensors"))
    state = read(outcome.weights).state
    kinds = {key.partition(".")[0] for key in state}
    assert kinds == {"adapters", "head", "tower_sha256"}
    assert any(value.abs().sum() > 0 for key, value in state.items() if ".lora_B." in key)
    network = Adapted(folder, 2)
    network.load_state_dict(state)
    pixels = torch.from_numpy(np.concatenate([each.frames for each in media(data)])).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        expected = network.eval()(pixels)
    judge = open_detector(f"tower={folder},{outcome.weights}")
    assert isinstance(judge, TorchDetector)
    assert torch.allclose(judge.logits(media(data)), expected, atol=1e-4)
    plain = open_detector(f"tower={folder},{tmp_path / 'out-tower.safetensors'}")  # the head that was fitted first
    assert isinstance(plain, TorchDetector)
    assert not torch.allclose(judge.logits(media(data)), plain.logits(media(data)), atol=1e-3)


def test_training_begins_at_the_fitted_head(data: Path, tmp_path: Path) -> None:
    """Before the first step the network answers as the head on the plain tower: adapters start at nothing."""
    folder = of_timm(tmp_path / "tower")
    first = train(settings(data, folder, tmp_path / "head.safetensors", detector="tower", steps=None, plan=None))
    network = Adapted(folder, 4)
    from detectors.public_checkpoints import load_into

    load_into(network, first.weights, "tower-adapters")
    pixels = torch.from_numpy(np.concatenate([each.frames for each in media(data)])).permute(0, 3, 1, 2) / 255
    judge = open_detector(f"tower={folder},{first.weights}")
    assert isinstance(judge, TorchDetector)
    with torch.inference_mode():
        assert torch.allclose(judge.logits(media(data)), network.eval()(pixels), atol=1e-4)


def test_a_killed_run_goes_on(data: Path, tmp_path: Path) -> None:
    """What is stored in between is adapters and head; the end is that of a run left alone."""
    folder = of_timm(tmp_path / "tower")
    head = train(settings(data, folder, tmp_path / "head.safetensors", detector="tower", steps=None, plan=None)).weights
    whole = train(settings(data, folder, tmp_path / "whole.safetensors", init=head))

    class Killed(Exception):
        pass

    def kill(progress: object) -> None:
        if getattr(progress, "step", 0) == 3:
            raise Killed

    cut = settings(data, folder, tmp_path / "cut.safetensors", init=head)
    with pytest.raises(Killed):
        train(cut, kill)
    again = train(cut)
    first, second = read(whole.weights).state, read(again.weights).state
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_weights_belong_to_their_tower(data: Path, tmp_path: Path) -> None:
    """Another tower of the same shape, a lost half of an adapter, and no tower at all are refused with words."""
    folder = of_timm(tmp_path / "tower")
    outcome = train(settings(data, folder, tmp_path / "out.safetensors", steps=1))
    other = of_timm(tmp_path / "other", interpolation="bilinear")
    from safetensors.torch import load_file, save_file

    file = other / "model.safetensors"
    save_file({key: value * 1.01 for key, value in load_file(file).items()}, file)
    with pytest.raises(CheckpointError, match="give that tower"):
        open_detector(f"tower={other},{outcome.weights}")
    state = read(outcome.weights).state
    from detectors.towers.adapters import merge

    lost = next(key for key in state if ".lora_A." in key)
    with pytest.raises(CheckpointError, match="without their other half"):
        merge(open_tower(str(folder)), {key: value for key, value in state.items() if key != lost})
    with pytest.raises(CheckpointError, match="has no layer"):
        merge(open_tower(str(folder)), {key.replace("blocks", "bricks"): value for key, value in state.items()})
    with pytest.raises(SettingsError, match="--tower to train"):
        Adapted()
