"""A tower and one linear head: `tower=TOWER,HEAD`. Linear probing, which comes before any fine-tuning.

HEAD may hold low-rank adapters, too (`detectors.towers.adapters`), which are added to the tower's weights.

`features` is the seam: what it gives may be kept, and a head fitted on it in seconds (`detectors.heads`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from detectors.calibration import Calibration
from detectors.checkpoints import Checkpoint, load_strictly, locate, read, write
from detectors.heads.fitting import Floats, HeadPlan, Ints, fit_head
from detectors.heads.head import Head, head_size
from detectors.rows import DetectorRow
from detectors.torch_detector import TorchDetector, torch_device
from detectors.towers.adapters import head_state, merge
from detectors.towers.folder import Tower, open_tower, width
from subnet.errors import CheckpointError
from subnet.types import Media

AnyTower = TypeVar("AnyTower", bound=Tower)
BATCH = 16
PLAN = HeadPlan()


class Probe(nn.Module):
    """Normalised RGB (B, 3, side, side) -> log-odds of synthetic (B,)."""

    def __init__(self, tower: nn.Module, head: Head) -> None:
        super().__init__()
        self.tower, self.head = tower.requires_grad_(requires_grad=False), head
        self.exportable = getattr(tower, "exportable", True)

    def features(self, x_BCHW: Tensor) -> Tensor:
        """What the head decides upon: (B, D)."""
        found: Tensor = self.tower(x_BCHW)
        return found

    def forward(self, x_BCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BCHW))
        return log_odds


def tower(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> TorchDetector:
    """The tower and the head that `weights` names, with a comma between. Raises CheckpointError."""
    place = torch_device(device)
    opened, checkpoint = tower_and_head(row, weights, open_tower)
    head, given = head_of(checkpoint), width(opened)
    if len(head.mean) != given:
        raise CheckpointError(
            f"weights: {checkpoint.name} is a head for {len(head.mean)} features, and the tower gives {given}"
        )
    return TorchDetector(
        row.name,
        row.modality,
        Probe(opened.network, head),
        preprocess=opened.preprocess,
        calibration=checkpoint.calibration,
        weights_hash=checkpoint.sha256,
        device=place,
        batch=BATCH,
    )


def tower_and_head(
    row: DetectorRow, weights: Path | str | None, opener: Callable[[str, str], AnyTower]
) -> tuple[AnyTower, Checkpoint]:
    """TOWER,HEAD opened by `opener` and read. Raises CheckpointError, also for a head fitted on another tower."""
    spec, comma, file = str(weights or "").rpartition(",")
    if not comma or not spec or not file:
        raise CheckpointError(f"weights: nothing ships for {row.name}; give {row.requires}")
    opened, checkpoint = opener(spec, row.name), read(locate(file))
    known = checkpoint.notes.get("tower_sha256")
    if known and known != opened.sha256:
        raise CheckpointError(
            f"weights: {file} was fitted on a tower with sha256 {known}, and {spec} has {opened.sha256}: "
            "give that tower, or fit another head"
        )
    merge(opened, checkpoint.state)
    return opened, checkpoint


def head_of(checkpoint: Checkpoint) -> Head:
    """A head of ours, or one linear layer (`weight` (1, D), `bias` (1,)). Raises CheckpointError naming keys."""
    state = head_state(checkpoint.state)
    if set(state) == {"weight", "bias"} and state["weight"].ndim == 2 and len(state["weight"]) == 1:
        state = {"weight": state["weight"][0], "bias": state["bias"].reshape(())}
        state |= {"mean": torch.zeros(len(state["weight"])), "scale": torch.ones(len(state["weight"]))}
    try:
        head = Head(**head_size(state, ""))
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"weights: {checkpoint.name} is no head: it needs mean, scale, weight and bias, or weight (1, D) and bias"
        ) from error
    load_strictly(head, state, checkpoint.name)
    return head


@torch.inference_mode()
def features(opened: Tower, media: Sequence[Media], device: str = "cpu") -> Floats:
    """The tower's features of pictures, prepared as it asks: (N, D). This is what may be kept and fitted on again."""
    if not media:
        return np.empty((0, width(opened)))
    detector = TorchDetector(
        "tower", media[0].modality, opened.network, preprocess=opened.preprocess, device=torch_device(device)
    )
    parts = [media[start : start + BATCH] for start in range(0, len(media), BATCH)]
    rows = [detector.network(torch.cat([detector.views(each) for each in part])) for part in parts]
    found: Floats = torch.cat(rows).float().cpu().double().numpy()
    return found


def fit(
    opened: Tower, found: Floats, labels: Ints, contents: Ints, out: Path, *, plan: HeadPlan = PLAN, seed: int = 0
) -> str:
    """Fit a linear head on features (N, D) and write it to `out`, bound to its tower; gives the sha256.

    `labels` are 0 and 1; items of one number in `contents` show the same and stay in one fold. Raises DataError.
    """
    head = fit_head(found, labels, contents, plan, seed=seed)
    about = {"detector": "tower", "tower_sha256": opened.sha256, "items": len(labels)}
    state = {key: value for key, value in head.state_dict().items() if value is not None}
    return write(out, state, preprocess=opened.preprocess, calibration=Calibration(), notes=about)
