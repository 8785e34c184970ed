"""A frozen tower of clips and one linear head: `tower-clip=TOWER,HEAD`, for example VideoMAE.

Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training", NeurIPS
2022, whose own classifier reads the mean of all tokens, as the head does here. Unlike towers of pictures it sees the
frames of a clip together. A tower is a folder in the format of transformers, or a repository at a commit, whose code is
never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from detectors.heads.fitting import Floats
from detectors.hub.repository import config_of, hash_of, load, locate
from detectors.rows import DetectorRow
from detectors.tall.network import clip_views
from detectors.torch_detector import TorchDetector, torch_device
from detectors.towers.folder import Tower, transformers_preprocess
from detectors.towers.probe import Probe, head_of, tower_and_head
from subnet.errors import CheckpointError
from subnet.types import Media

OTHER_HALF = ("classifier.", "fc_norm.", "decoder.", "encoder_to_decoder.", "mask_token", "pooler.")
LONGEST = 256  # frames


@dataclass(frozen=True, eq=False)
class ClipTower(Tower):
    """`network` maps normalised clips (B, `length`, 3, side, side) to features (B, D)."""

    length: int = 16


class OfTransformersClips(nn.Module):
    """A model of clips of transformers -> the mean of its tokens: (B, D)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        tokens: Tensor = self.model(pixel_values=x_BTCHW).last_hidden_state
        return tokens.mean(dim=1)


def open_clip_tower(spec: str, name: str = "tower-clip") -> ClipTower:
    """The tower of a folder, or of OWNER/NAME@<40 hex commit>; `name` is the row that asks.

    Raises CheckpointError naming what is wrong.
    """
    folder = locate(spec, name)
    config = config_of(folder)
    length = config.get("num_frames")
    if not isinstance(length, int) or not 1 <= length <= LONGEST:
        raise CheckpointError(
            f"weights: {folder / 'config.json'} gives num_frames as {length}, not a number in 1..{LONGEST}: "
            f"{name} needs a tower of clips"
        )
    from transformers import AutoModel

    model = OfTransformersClips(load(folder, AutoModel, "tower of clips", OTHER_HALF)).eval()
    preprocess = replace(transformers_preprocess(folder), clips="middle")
    return ClipTower(model, preprocess, hash_of(folder), length)


def tower_clip(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> TorchDetector:
    """The tower and the head that `weights` names, with a comma between. Raises CheckpointError."""
    opened, checkpoint = tower_and_head(row, weights, open_clip_tower)
    head, given = head_of(checkpoint), clip_width(opened)
    if len(head.mean) != given:
        raise CheckpointError(
            f"weights: {checkpoint.name} is a head for {len(head.mean)} features, and the tower gives {given}"
        )
    return TorchDetector(
        row.name,
        row.modality,
        Probe(opened.network, head),
        preprocess=opened.preprocess,
        views=partial(clip_views, length=opened.length),
        calibration=checkpoint.calibration,
        weights_hash=checkpoint.sha256,
        device=torch_device(device),
        batch=1,
    )


@torch.inference_mode()
def clip_width(opened: ClipTower) -> int:
    """How many features it gives."""
    side = opened.preprocess.crop or opened.preprocess.size
    return int(opened.network(torch.zeros(1, opened.length, 3, side, side)).shape[1])


@torch.inference_mode()
def tower_features(opened: ClipTower, clips: Sequence[Media], device: str = "cpu") -> Floats:
    """The tower's features of clips' middle frames: (N, D). This is what may be kept and fitted on again."""
    place = torch_device(device)
    network = opened.network.to(place)
    rows = [network(clip_views(clip, opened.preprocess, place, opened.length)) for clip in clips]
    found: Floats = torch.cat(rows).float().cpu().double().numpy() if rows else np.empty((0, clip_width(opened)))
    return found
