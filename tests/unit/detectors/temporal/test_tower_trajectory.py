"""The way of frames through a frozen tower: told from their order alone, and lost when frames are shuffled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import nn

from detectors.heads.fitting import HeadPlan
from detectors.loading import open_detector
from detectors.temporal.tower_trajectory import clip_features
from detectors.torch_detector import TorchDetector
from detectors.towers.folder import open_tower
from detectors.towers.probe import fit
from subnet.errors import CheckpointError
from subnet.types import Media

NAME, SIZE = "vit_small_patch16_384", {"img_size": 32, "embed_dim": 64, "depth": 1, "num_heads": 1}
PLAN = HeadPlan(strengths=(0.1,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tower of timm with random weights."""
    torch.manual_seed(0)
    model = timm.create_model(NAME, num_classes=0, **SIZE)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    place = tmp_path_factory.mktemp("tower")
    save_file(model.state_dict(), place / "model.safetensors")
    about = {
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "input_size": [3, 32, 32],
        "crop_pct": 1.0,
        "interpolation": "bicubic",
    }
    config = {"architecture": NAME, "model_args": SIZE, "pretrained_cfg": about}
    (place / "config.json").write_text(json.dumps(config))
    return place


def pans(count: int, seed: int) -> tuple[list[Media], np.ndarray]:
    """Straight pans over smooth pictures (0), and the very same frames in another order (1)."""
    rng = np.random.default_rng(seed)
    clips, labels = [], []
    for number in range(count):
        small = torch.from_numpy(rng.integers(0, 256, (1, 3, 6, 8)).astype(np.float32))
        large = nn.functional.interpolate(small, size=(40, 56), mode="bicubic")[0].clamp(0, 255).byte()
        frames = np.stack([large[:, 2:34, 3 * t : 3 * t + 32].permute(1, 2, 0).numpy() for t in range(8)])
        label = number % 2
        clips.append(Media(frames[rng.permutation(8)] if label else frames, 8.0))
        labels.append(label)
    return clips, np.array(labels)


def shuffled(clips: list[Media], seed: int) -> list[Media]:
    rng = np.random.default_rng(seed)
    return [Media(clip.frames[rng.permutation(8)], clip.fps) for clip in clips]


@pytest.mark.parametrize("wanted", ["d3", "all"])
def test_motion_alone_is_told_and_lost_when_shuffled(folder: Path, wanted: str, tmp_path: Path) -> None:
    """Single frames tell nothing here. AUC stands above .9 in order, and within .5 +- .15 once frames are shuffled."""
    opened = open_tower(str(folder))
    clips, labels = pans(40, 0)
    found = clip_features(opened, clips, wanted)  # type: ignore[arg-type]
    assert found.shape == (40, 1 if wanted == "d3" else 22)
    fit(opened, found, labels, np.arange(40), tmp_path / "head.safetensors", plan=PLAN)
    detector = open_detector(f"tower-trajectory={folder},{tmp_path / 'head.safetensors'}")
    assert isinstance(detector, TorchDetector)
    judged, truth = pans(80, 1)
    assert roc_auc_score(truth, detector.logits(judged).numpy()) > 0.9
    assert abs(roc_auc_score(truth, detector.logits(shuffled(judged, 2)).numpy()) - 0.5) < 0.15
    assert np.abs(detector.network.features(detector.views(clips[0])).numpy() - found[:1]).max() < 1e-3  # type: ignore[operator]


def test_what_is_no_head_of_it(folder: Path, tmp_path: Path) -> None:
    """A head on another number of features, and a row without its files."""
    save_file({"weight": torch.ones(1, 7), "bias": torch.ones(1)}, tmp_path / "head.safetensors")
    with pytest.raises(CheckpointError, match="decides on 7 features; the way of frames has 1 or 22"):
        open_detector(f"tower-trajectory={folder},{tmp_path / 'head.safetensors'}")
    with pytest.raises(CheckpointError, match="tower-trajectory=FOLDER,HEAD"):
        open_detector("tower-trajectory")
