"""Two detectors that know nothing: the floor that every other one must clear."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from detectors.rows import DetectorRow
from subnet.errors import CheckpointError
from subnet.types import Media, Modality, Prediction


class Constant:
    """Answers the same number to everything."""

    weights_hash = ""

    def __init__(self, name: str, value: float = 1.0, modality: Modality = Modality.IMAGE) -> None:
        self.name = name
        self.modality = modality
        self._prediction = Prediction(value)

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        return [self._prediction for _ in batch]


class Random:
    """Uniform in [0, 1) by the sha256 of the pixels: the same media always gets the same number."""

    weights_hash = ""

    def __init__(self, name: str, modality: Modality = Modality.IMAGE) -> None:
        self.name = name
        self.modality = modality

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        return [Prediction(_uniform(media)) for media in batch]


def _uniform(media: Media) -> float:
    digest = hashlib.sha256(repr(media.frames.shape).encode() + media.frames.tobytes()).digest()
    return float(int.from_bytes(digest[:6], "big") / 2**48)


def constant(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> Constant:
    """The constant detector of `row`. It runs anywhere; `weights` must be None."""
    _without_weights(row, weights)
    return Constant(row.name, modality=row.modality)


def random(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> Random:
    """The random detector of `row`. It runs anywhere; `weights` must be None."""
    _without_weights(row, weights)
    return Random(row.name, modality=row.modality)


def _without_weights(row: DetectorRow, weights: Path | str | None) -> None:
    if weights is not None:
        raise CheckpointError(f"{row.name} has no weights: leave --weights out instead of giving {weights}")
