"""A detector whose network runs on another machine: what is read off a network here is asked for there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from detectors.calibration import Calibration
from subnet.types import Media, Modality, Prediction

Way = Literal["layer", "occlusion", ""]  # by which a detector's heat maps are made: "" for one that looks at nothing


class Elsewhere(ABC):
    """A `Detector`. `way` is that of its heat maps: by a layer they are drawn only where the network is.

    Every method raises Overloaded where no answer comes, and MediaUnreadable for what cannot be judged.
    """

    name: str
    modality: Modality
    weights_hash: str
    calibration: Calibration
    way: Way

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """One prediction per item, in order."""
        return self.parts(batch)[0]

    @abstractmethod
    def parts(self, batch: Sequence[Media]) -> tuple[list[Prediction], list[float] | None]:
        """One prediction per item, and how far its features lie from those that its card was measured on
        (`detectors.claims.density`); None for weights without such a density."""

    @abstractmethod
    def log_odds(self, batch: Sequence[Media]) -> list[float]:
        """Raw log-odds, one per item."""

    @abstractmethod
    def moments(self, media: Media) -> list[tuple[int, float]]:
        """The frames of a clip that are judged, and P(synthetic) around each; none for a detector without a network."""

    @abstractmethod
    def account(self, media: Media) -> Mapping[str, Any]:
        """What else it says for its answer (`detectors.explain.account`)."""
