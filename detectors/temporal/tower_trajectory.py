"""D3 and ReStraV on any frozen tower: `tower-trajectory=TOWER,HEAD`, the tower seeing frames and the head their way.

Both papers embed frames by DINOv2 ViT-S/14 or CLIP; what is computed of eight embeddings is in `trajectory`. A head on
one number is D3, which needs a threshold and no training; a head on all 22 is ReStraV's, linear in place of its MLP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from detectors.heads.fitting import Floats
from detectors.heads.head import Head
from detectors.rows import DetectorRow
from detectors.temporal.trajectory import Statistics, statistics
from detectors.temporal.views import FRAMES, eight_views
from detectors.torch_detector import TorchDetector, torch_device
from detectors.towers.folder import Tower, open_tower
from detectors.towers.probe import head_of, tower_and_head
from subnet.errors import CheckpointError
from subnet.types import Media

NUMBERS: dict[int, Statistics] = {1: "d3", 22: "all"}  # by how many of them a head decides


class TowerTrajectory(nn.Module):
    """Normalised clips (B, 8, 3, side, side) -> log-odds of synthetic (B,)."""

    def __init__(self, tower: nn.Module, head: Head) -> None:
        super().__init__()
        self.tower, self.head = tower.requires_grad_(requires_grad=False), head
        self.wanted = NUMBERS[len(head.mean)]

    def features(self, x_BTCHW: Tensor) -> Tensor:
        """(B, 1) or (B, 22)."""
        embeddings: Tensor = self.tower(x_BTCHW.flatten(0, 1))
        return statistics(embeddings.reshape(len(x_BTCHW), x_BTCHW.shape[1], -1), self.wanted)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BTCHW))
        return log_odds


def tower_trajectory(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> TorchDetector:
    """The tower and the head that `weights` names, with a comma between. Raises CheckpointError."""
    place = torch_device(device)
    opened, checkpoint = tower_and_head(row, weights, open_tower)
    head = head_of(checkpoint)
    if len(head.mean) not in NUMBERS:
        raise CheckpointError(
            f"weights: {checkpoint.name} decides on {len(head.mean)} features; the way of frames has "
            f"{' or '.join(map(str, NUMBERS))}"
        )
    return TorchDetector(
        row.name,
        row.modality,
        TowerTrajectory(opened.network, head),
        preprocess=replace(opened.preprocess, clips="middle"),
        views=eight_views,
        calibration=checkpoint.calibration,
        weights_hash=checkpoint.sha256,
        device=place,
        batch=1,
    )


@torch.inference_mode()
def clip_features(opened: Tower, clips: Sequence[Media], wanted: Statistics = "all", device: str = "cpu") -> Floats:
    """The numbers of clips' middle eight frames: (N, 1) or (N, 22). This is what may be kept and fitted on again."""
    place, prepared = torch_device(device), replace(opened.preprocess, clips="middle")
    network = opened.network.to(place)
    rows = []
    for clip in clips:
        embeddings = network(eight_views(clip, prepared, place)[0])
        rows.append(statistics(embeddings.reshape(1, FRAMES, -1), wanted))
    found: Floats = torch.cat(rows).float().cpu().double().numpy() if rows else np.empty((0, 1))
    return found
