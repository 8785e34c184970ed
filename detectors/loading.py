"""From a row of the table to a detector that answers."""

from __future__ import annotations

from pathlib import Path

from detectors.checkpoints import HERE
from detectors.public_checkpoints import build, open_checkpoint
from detectors.rows import DetectorRow
from detectors.torch_detector import TorchDetector, torch_device
from detectors.training.recipes import recipe
from subnet.registry import resolve


def network_detector(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> TorchDetector:
    """The network of `row` with its embedded weights, or with `weights` of any public layout and size.

    Raises CheckpointError for weights that are missing or do not fit, SettingsError for a device that is not there.
    """
    place = torch_device(device)
    spec, pinned = (weights, "") if weights is not None else (HERE / row.weights, row.sha256)
    checkpoint = open_checkpoint(spec, row.family, row.preprocess, sha256=pinned)
    return TorchDetector(
        row.name,
        row.modality,
        build(checkpoint, row.family),
        preprocess=checkpoint.preprocess or row.preprocess,
        views=resolve(recipe(row.family).views),
        calibration=checkpoint.calibration,
        weights_hash=checkpoint.sha256,
        device=place,
    )
