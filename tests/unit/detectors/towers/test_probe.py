"""Any tower with one linear head: towers of both libraries on disk here, whole-path parity, and a head fitted on one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

from detectors.heads.fitting import HeadPlan
from detectors.loading import open_detector
from detectors.torch_detector import TorchDetector
from detectors.towers.folder import open_tower, width
from detectors.towers.probe import features, fit
from subnet.errors import CheckpointError
from subnet.types import Media

TIMM = "vit_small_patch16_384"
SMALL = {"img_size": 32, "embed_dim": 64, "depth": 1, "num_heads": 1}
TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {**TEXT, "hidden_size": 24, "image_size": 32, "patch_size": 8}
QUICK = HeadPlan(strengths=(0.1,))
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


def lively(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


def of_timm(folder: Path, **changes: object) -> Path:
    """A folder as timm's repositories are, its classifier among the tensors."""
    model = lively(timm.create_model(TIMM, num_classes=10, **SMALL))
    about = {"mean": MEAN, "std": STD, "input_size": [3, 32, 32], "crop_pct": 0.9, "interpolation": "bicubic"}
    about |= {"classifier": "head", **changes}
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": TIMM, "model_args": SMALL, "pretrained_cfg": about}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def of_transformers(folder: Path, kind: str) -> Path:
    if kind == "clip":
        model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12))
    elif kind == "siglip":
        model = SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION))
    else:
        model = Dinov2Model(Dinov2Config(**VISION))
    lively(model).save_pretrained(folder)
    size = {"height": 32, "width": 32} if kind == "siglip" else {"shortest_edge": 36}
    processor = SiglipImageProcessor if kind == "siglip" else CLIPImageProcessor
    more = {} if kind == "siglip" else {"crop_size": {"height": 32, "width": 32}}
    processor(size=size, image_mean=MEAN, image_std=STD, resample=3, **more).save_pretrained(folder)
    return folder


def timm_answer(folder: Path, pictures: list[Image.Image]) -> Tensor:
    prepare = create_transform((3, 32, 32), mean=MEAN, std=STD, crop_pct=0.9, interpolation="bicubic")
    model = lively(timm.create_model(TIMM, num_classes=10, **SMALL))
    views = torch.stack([prepare(picture) for picture in pictures])
    tokens: Tensor = model.forward_head(model.forward_features(views), pre_logits=True)
    return tokens


def transformers_answer(folder: Path, pictures: list[Image.Image], kind: str) -> Tensor:
    cubic = InterpolationMode.BICUBIC
    steps = [transforms.Resize((32, 32), cubic)] if kind == "siglip" else [
        transforms.Resize(36, cubic), transforms.CenterCrop(32)
    ]  # fmt: skip
    prepare = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    views = torch.stack([prepare(picture) for picture in pictures])
    if kind == "dinov2":
        pooled: Tensor = Dinov2Model.from_pretrained(folder).eval()(views).pooler_output
        return pooled
    model = (CLIPModel if kind == "clip" else SiglipModel).from_pretrained(folder).eval()
    found = model.get_image_features(pixel_values=views)
    return found if isinstance(found, Tensor) else found.pooler_output  # type: ignore[no-any-return]


def picture(seed: int, height: int = 60, width: int = 47) -> Media:
    return Media(np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["timm", "clip", "siglip", "dinov2"])
def test_features_are_those_of_its_own_library(kind: str, tmp_path: Path) -> None:
    """Pixels prepared as the tower asks, and its own features below one linear layer."""
    folder = of_timm(tmp_path / "tower") if kind == "timm" else of_transformers(tmp_path / "tower", kind)
    media = [picture(seed, 60 - 7 * seed, 33 + 5 * seed) for seed in range(3)]
    pictures = [Image.fromarray(item.frames[0]) for item in media]
    with torch.inference_mode():
        wanted = timm_answer(folder, pictures) if kind == "timm" else transformers_answer(folder, pictures, kind)
    opened = open_tower(str(folder))
    assert np.abs(features(opened, media) - wanted.double().numpy()).max() < 1e-4
    torch.manual_seed(1)
    layer = {"weight": torch.randn(1, width(opened)), "bias": torch.randn(1)}
    save_file(layer, tmp_path / "head.safetensors")
    detector = open_detector(f"tower={folder},{tmp_path / 'head.safetensors'}")
    assert isinstance(detector, TorchDetector)
    logits = (wanted @ layer["weight"].T + layer["bias"])[:, 0]
    assert (detector.logits(media) - logits).abs().max() < 1e-3


def test_a_head_is_fitted_kept_and_used(tmp_path: Path) -> None:
    """Features once, a head in a moment, and the detector that comes of both tells the two classes of unseen items."""
    folder = of_timm(tmp_path / "tower")
    opened = open_tower(str(folder))
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    media = [Media(rng.integers(0, 256 - 120 * label, (1, 40, 40, 3), dtype=np.uint8)) for label in labels.tolist()]
    sha256 = fit(
        opened, features(opened, media[:40]), labels[:40], np.arange(40), tmp_path / "head.safetensors", plan=QUICK
    )
    detector = open_detector(f"tower={folder},{tmp_path / 'head.safetensors'}")
    assert detector.weights_hash == sha256
    answers = np.array([answer.p_synthetic for answer in detector.predict(media[40:])])
    assert ((answers > 0.5) == labels[40:]).mean() > 0.9


def test_a_head_of_another_tower_is_refused(tmp_path: Path) -> None:
    """A head says which tower it was fitted on; one for another number of features is told so."""
    first, second = of_timm(tmp_path / "first"), of_transformers(tmp_path / "second", "clip")
    opened = open_tower(str(first))
    found = np.random.default_rng(0).normal(size=(20, width(opened)))
    fit(opened, found, np.arange(20) % 2, np.arange(20), tmp_path / "head.safetensors", plan=QUICK)
    with pytest.raises(CheckpointError, match="fitted on a tower with sha256"):
        open_detector(f"tower={second},{tmp_path / 'head.safetensors'}")
    save_file({"weight": torch.ones(1, 7), "bias": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="for 7 features, and the tower gives 64"):
        open_detector(f"tower={first},{tmp_path / 'other.safetensors'}")
    save_file({"a": torch.ones(1)}, tmp_path / "no.safetensors")
    with pytest.raises(CheckpointError, match="is no head"):
        open_detector(f"tower={first},{tmp_path / 'no.safetensors'}")


def test_towers_that_cannot_be_used(tmp_path: Path) -> None:
    """No folder, no comma, a filter that nobody knows, tensors that lack: each names the place."""
    with pytest.raises(CheckpointError, match="tower=FOLDER or tower=OWNER/NAME@"):
        open_detector(f"tower={tmp_path / 'nowhere'},{tmp_path / 'head'}")
    with pytest.raises(CheckpointError, match="tower=FOLDER,HEAD"):
        open_detector(f"tower={tmp_path}")
    with pytest.raises(CheckpointError, match="how pixels are prepared.*hamming"):
        open_tower(str(of_timm(tmp_path / "hamming", interpolation="hamming")))
    folder = of_timm(tmp_path / "lacking")
    state = timm.create_model(TIMM, num_classes=10, **SMALL).state_dict()
    state.pop("cls_token")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="missing: cls_token"):
        open_tower(str(folder))
