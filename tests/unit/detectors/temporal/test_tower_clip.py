"""A frozen tower of clips: from frames to log-odds as transformers' own processor and model give it, and its layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from detectors.loading import open_detector
from detectors.temporal.tower_clip import open_clip_tower, tower_features
from detectors.torch_detector import TorchDetector
from detectors.towers.probe import fit
from subnet.errors import CheckpointError
from subnet.types import Media

SIZE = {
    "image_size": 32,
    "patch_size": 16,
    "num_frames": 8,
    "tubelet_size": 2,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small VideoMAE with random weights, saved as transformers saves it."""
    from transformers import VideoMAEConfig, VideoMAEImageProcessor, VideoMAEModel

    torch.manual_seed(0)
    model = VideoMAEModel(VideoMAEConfig(**SIZE))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    place = tmp_path_factory.mktemp("clips")
    model.save_pretrained(place)
    VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(place)
    return place


def clips(count: int, frames: int = 8, seed: int = 0) -> list[Media]:
    rng = np.random.default_rng(seed)
    return [Media(rng.integers(0, 256, (frames, 40, 52, 3), dtype=np.uint8), 8.0) for _ in range(count)]


def head(place: Path, features: int) -> Path:
    save_file({"weight": torch.linspace(-1, 1, features)[None], "bias": torch.ones(1)}, place / "head.safetensors")
    return place / "head.safetensors"


def test_the_whole_way_is_that_of_transformers(folder: Path, tmp_path: Path) -> None:
    """Its processor on frames in Pillow, its model, the mean of all tokens and the head give the same log-odds; of a
    longer clip the middle frames are seen."""
    from PIL import Image
    from transformers import AutoModel
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    detector = open_detector(f"tower-clip={folder},{head(tmp_path, 32)}")
    assert isinstance(detector, TorchDetector)
    processor, model = VideoMAEImageProcessorPil.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    for clip, first in ((clips(1)[0], 0), (clips(1, 12, 1)[0], 2)):
        pixels = processor([Image.fromarray(each) for each in clip.frames[first : first + 8]], return_tensors="pt")
        with torch.inference_mode():
            tokens = model(pixel_values=pixels["pixel_values"]).last_hidden_state
        expected = tokens.mean(1) @ torch.linspace(-1, 1, 32) + 1
        assert detector.logits([clip]).numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_it_sees_the_order_of_frames(folder: Path) -> None:
    """The mean over single frames would be the same backwards; what sees frames together answers otherwise."""
    opened = open_clip_tower(str(folder))
    (clip,) = clips(1)
    both = tower_features(opened, [clip, Media(clip.frames[::-1].copy(), clip.fps)])
    assert both.shape == (2, 32)
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_a_head_is_bound_to_its_tower(folder: Path, tmp_path: Path) -> None:
    """A head fitted on the tower's features is served with it, and refused once the tower has other weights."""
    opened, shown = open_clip_tower(str(folder)), clips(8)
    labels = np.array([0, 1] * 4)
    fit(opened, tower_features(opened, shown), labels, np.arange(8), tmp_path / "own.safetensors")
    assert open_detector(f"tower-clip={folder},{tmp_path / 'own.safetensors'}").predict(shown[:1])
    other = tmp_path / "other"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    state = load_file(folder / "model.safetensors")
    save_file({key: value + 1 for key, value in state.items()}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="was fitted on a tower with sha256"):
        open_detector(f"tower-clip={other},{tmp_path / 'own.safetensors'}")


def test_what_is_no_tower_of_clips(folder: Path, tmp_path: Path) -> None:
    """A tensor that is missing, one too many, a configuration of pictures, another head, and no files: told by name."""
    for number, change in enumerate(("less", "more")):
        other = tmp_path / str(number)
        other.mkdir()
        for file in folder.iterdir():
            (other / file.name).write_bytes(file.read_bytes())
        state = load_file(folder / "model.safetensors")
        key = "encoder.layer.1.layernorm_after.weight"
        changed = {**state, "odd": torch.ones(1)} if change == "more" else {k: v for k, v in state.items() if k != key}
        save_file(changed, other / "model.safetensors", {"format": "pt"})
        with pytest.raises(CheckpointError, match="odd" if change == "more" else key):
            open_clip_tower(str(other))
    config = json.loads((folder / "config.json").read_text())
    del config["num_frames"]
    (tmp_path / "0" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="needs a tower of clips"):
        open_clip_tower(str(tmp_path / "0"))
    with pytest.raises(CheckpointError, match="is a head for 7 features, and the tower gives 32"):
        open_detector(f"tower-clip={folder},{head(tmp_path, 7)}")
    with pytest.raises(CheckpointError, match="tower-clip=FOLDER,HEAD"):
        open_detector("tower-clip")
