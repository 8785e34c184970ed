"""Does a detector answer at all? Asked once, before a miner publishes its axon.

A network with damaged tensors answers NaN to everything, and each of these answers would cost a validator's challenge.
"""

from __future__ import annotations

import math

import numpy as np

from detectors import TABLE
from subnet.errors import CheckpointError
from subnet.protocols import Detector
from subnet.types import Media, Modality

SIDE, FRAMES = 256, 8
REPEATABLE = 1e-4  # most that P(synthetic) may differ between two times
FAITHFUL = 0.02  # of its size: most that the log-odds of weights that ship may differ, on any device and backend


def example(modality: Modality) -> Media:
    """The same picture or clip for everybody, in integers alone: waves under grain, drifting from frame to frame."""
    frame, row, column = np.ogrid[: FRAMES if modality is Modality.VIDEO else 1, :SIDE, :SIDE]
    wave = np.abs((row + 2 * frame) % 128 - 64) + np.abs((column - frame) % 96 - 48)
    grain = ((row * 73 + column * 151 + row * column * 7 + frame * 29) % 23) - 11
    planes = [wave * share // 64 + grain + level for share, level in ((70, 60), (60, 50), (40, 80))]
    frames = np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)
    return Media(frames, 8.0 if modality is Modality.VIDEO else None)


def log_odds(p_synthetic: float) -> float:
    """The log-odds of an answer; infinite where it is sure."""
    if p_synthetic in (0.0, 1.0):
        return math.inf if p_synthetic else -math.inf
    return math.log(p_synthetic / (1 - p_synthetic))


def self_test(detector: Detector) -> None:
    """Raises CheckpointError unless the answers are probabilities, repeat, and are those of the weights that ship."""
    media = example(detector.modality)
    try:
        first, second = (detector.predict([media])[0].p_synthetic for _ in range(2))
    except (ValueError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(
            f"weights: the self-test of {detector.name} failed: {error}; take other weights"
        ) from error
    if abs(first - second) > REPEATABLE:
        raise CheckpointError(
            f"weights: {detector.name} answers {first:.4f} and then {second:.4f} to the same {detector.modality}: "
            "take other weights, or --detector.serving plain"
        )
    row = TABLE.get(detector.name)
    if row is None or row.self_test is None or detector.weights_hash != row.sha256:
        return
    found = log_odds(second)
    if not abs(found - row.self_test) <= FAITHFUL * max(1.0, abs(row.self_test)):
        raise CheckpointError(
            f"weights: {detector.name} answers {found:.3f} (log-odds) in its self-test and not {row.self_test:.3f}: "
            "this machine computes something else; try --detector.serving plain or --detector.device cpu"
        )
