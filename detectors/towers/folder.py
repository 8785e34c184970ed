"""Any vision tower in timm's or transformers' format: CLIP, DINOv2 and DINOv3, SigLIP 2, the Perception Encoder.

A tower is a folder with config.json and safetensors, or a repository at a commit, or an ONNX file. timm's
configurations name an `architecture`, those of transformers a `model_type`; both say how pixels are prepared, as does
preprocessor_config.json beside an ONNX file. No code of a repository is run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly, sha256_of
from detectors.hub.repository import WEIGHTS, config_of, hash_of, load, locate
from detectors.rows import Preprocess, Resample
from detectors.tensor_files import read_tensors
from detectors.towers.onnx_tower import open_onnx
from subnet.errors import CheckpointError

PREPARATION = "preprocessor_config.json"
FILTERS: Mapping[str, Resample] = {"bilinear": "pillow-bilinear", "bicubic": "pillow-bicubic"}
NUMBERED: Mapping[int, str] = {2: "bilinear", 3: "bicubic"}  # Pillow's filters, as transformers writes them
READING = ("text_model", "text_projection", "logit_scale", "logit_bias")  # the half of a pair that reads


@dataclass(frozen=True, eq=False)
class Tower:
    """`network` maps normalised RGB (B, 3, side, side) to features (B, D); `sha256` is that of its weights."""

    network: nn.Module
    preprocess: Preprocess
    sha256: str


class OfTransformers(nn.Module):
    """A model of transformers -> its embedding of the picture, its pooled output, or its first token: (B, D)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.pairs = hasattr(model, "get_image_features")
        for name in READING:
            if hasattr(model, name):
                delattr(model, name)
        self.model = model

    def forward(self, x_BCHW: Tensor) -> Tensor:
        ask: Any = self.model.get_image_features if self.pairs else self.model
        found = ask(pixel_values=x_BCHW)
        if isinstance(found, Tensor):
            return found
        pooled: Tensor | None = getattr(found, "pooler_output", None)
        features: Tensor = found.last_hidden_state[:, 0] if pooled is None else pooled
        return features.flatten(1)


def open_tower(spec: str, name: str = "tower") -> Tower:
    """The tower of a folder, of OWNER/NAME@<40 hex commit>, or of an ONNX file; `name` is the row that asks.

    Raises CheckpointError naming what is wrong.
    """
    if is_onnx(spec):
        file = Path(spec).expanduser()
        return Tower(open_onnx(file).eval(), transformers_preprocess(file.parent), sha256_of(file))
    folder = locate(spec, name)
    config = config_of(folder)
    if "architecture" in config:
        return Tower(_timm(folder, config), timm_preprocess(config, folder), hash_of(folder))
    from transformers import AutoModel

    model = load(folder, AutoModel, "vision tower", ("classifier.", "vision_model.head.", "position_ids"))
    return Tower(OfTransformers(model).eval(), transformers_preprocess(folder), hash_of(folder))


def is_onnx(spec: str) -> bool:
    """Whether a tower is given as a file that onnxruntime computes."""
    file = Path(spec).expanduser()
    return file.suffix == ".onnx" and file.is_file()


def _timm(folder: Path, config: Mapping[str, Any]) -> nn.Module:
    """timm's network without its classifier, filled strictly."""
    import timm

    files = sorted(folder.glob(WEIGHTS))
    if len(files) != 1:
        raise CheckpointError(f"weights: {folder} holds {len(files)} files of safetensors: leave the one of the tower")
    try:
        network = timm.create_model(
            config["architecture"], pretrained=False, num_classes=0, **dict(config.get("model_args") or {})
        )
    except (RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"weights: timm builds no {config['architecture']} as {folder} asks: {error}") from error
    named = dict(config.get("pretrained_cfg") or {}).get("classifier") or "head"
    heads = tuple(f"{name}." for name in ([named] if isinstance(named, str) else named))
    own = set(network.state_dict())
    state = {key: value for key, value in read_tensors(files[0])[0].items() if key in own or not key.startswith(heads)}
    load_strictly(network, state, str(files[0]))
    made: nn.Module = network.eval()
    return made


def timm_preprocess(config: Mapping[str, Any], folder: Path) -> Preprocess:
    """How timm's own evaluation prepares pixels for this tower. Raises CheckpointError."""
    values = dict(config.get("pretrained_cfg") or {})
    try:
        side = int(values["input_size"][-1])
        mode, share = values.get("crop_mode", "center"), float(values.get("crop_pct", 0.875))
        if not 0 < share <= 1:
            raise ValueError(f"crop_pct is {share}")
        size = side if mode == "squash" else math.floor(side / share)
        return Preprocess(
            _three(values["mean"]),
            _three(values["std"]),
            size,
            "squash" if mode == "squash" else "short-edge",
            FILTERS[values.get("interpolation", "bicubic")],
            crop=0 if mode == "squash" else side,
        )
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"weights: pretrained_cfg in {folder / 'config.json'} does not say how pixels are prepared: {error!r}"
        ) from error


def transformers_preprocess(folder: Path) -> Preprocess:
    """What preprocessor_config.json asks for. Raises CheckpointError."""
    path = folder / PREPARATION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"weights: {path} cannot be read, which says how pixels are prepared: {error}") from error
    try:
        size, crop = values["size"], values.get("crop_size", 0) if values.get("do_center_crop") else 0
        size = {"shortest_edge": size} if isinstance(size, int) else size
        short = "shortest_edge" in size
        return Preprocess(
            _three(values["image_mean"]),
            _three(values["image_std"]),
            int(size["shortest_edge"] if short else _side(size)),
            "short-edge" if short else "squash",
            FILTERS[NUMBERED[values.get("resample", 3)]],
            crop=_side(crop) if isinstance(crop, dict) else int(crop),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"weights: {path} does not say how pixels are prepared: {error!r}") from error


def _side(size: Mapping[str, Any]) -> int:
    if size["height"] != size["width"]:
        raise ValueError(f"{size['height']} x {size['width']} is no square")
    return int(size["height"])


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def width(tower: Tower) -> int:
    """How many features it gives."""
    side = tower.preprocess.crop or tower.preprocess.size
    with torch.inference_mode():
        return int(tower.network(torch.zeros(1, 3, side, side)).shape[1])
