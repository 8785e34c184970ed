"""Where in a picture the evidence lies, for any detector: cells are painted over, and it is asked again.

Occlusion sensitivity (Zeiler & Fergus 2014, section 4.2), on cells in the mean colour. It needs no layer and no
gradient, so that it serves look-up, hand-made features and stacks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from detectors.cluster.elsewhere import Elsewhere
from detectors.ensemble.stack import Ensemble
from detectors.torch_detector import TorchDetector
from subnet.types import Label, Media, Prediction

CELLS = 8  # along each side: 64 answers for a map
BATCH = 8

Cells = NDArray[np.int64]
Heat = NDArray[np.float32]
Explained = TorchDetector | Ensemble | Elsewhere


def log_odds(detector: Explained, batch: Sequence[Media]) -> NDArray[np.float64]:
    """Raw log-odds of a network or of a stack of them (N,)."""
    if isinstance(detector, Elsewhere):
        return np.array(detector.log_odds(batch), dtype=np.float64)
    values: list[float] = []
    for start in range(0, len(batch), BATCH):
        values.extend(detector.logits(batch[start : start + BATCH]).tolist())
    return np.array(values, dtype=np.float64)


def painted(media: Media, which: Cells, grid: int = CELLS) -> Media:
    """All frames with the cells numbered `which` (row by row) in each frame's mean colour."""
    frames = media.frames.copy()
    colour = frames.mean(axis=(1, 2), keepdims=True).round().astype(np.uint8)
    height, width = frames.shape[1] // grid, frames.shape[2] // grid
    for cell in which.tolist():
        top, left = cell // grid * height, cell % grid * width
        frames[:, top : top + height, left : left + width] = colour
    return Media(frames, media.fps)


def occlusion(detector: Explained, media: Media, evidence_for: Label | None = None) -> tuple[Heat, float, Label]:
    """How far each cell's absence moves the answer away from what it is, as a map (H, W) in 0..1.

    0 everywhere where nothing moves it. Beside it the raw log-odds, and the answer that the map speaks for: the one
    that is given unless `evidence_for` says another.
    """
    shown = [media, *(painted(media, np.array([cell])) for cell in range(CELLS * CELLS))]
    answers = log_odds(detector, shown)
    given = float(answers[0])
    if evidence_for is None:
        evidence_for = Prediction(detector.calibration.probability(given)).label
    sign = 1.0 if evidence_for is Label.SYNTHETIC else -1.0
    moved = np.maximum(sign * (given - answers[1:]), 0.0).reshape(CELLS, CELLS)
    top = float(moved.max())
    cells = torch.from_numpy(moved / top if top > 0 else moved).float()[None, None]
    heat = functional.interpolate(cells, size=media.frames.shape[1:3], mode="nearest-exact")[0, 0]
    return heat.numpy(), given, evidence_for
