"""The table of feature families, and the network that puts a linear head on any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from detectors.heads.head import Head, head_size
from detectors.spectral import frequency, texture
from subnet.errors import CheckpointError
from subnet.registry import find, resolve, table


@dataclass(frozen=True)
class FeatureFamily:
    """`target` is a function from pictures (B, 3, H, W) in 0..1 to `size` numbers of each; `source` is who had it."""

    name: str
    target: str
    size: int
    source: str


_F, _T = "detectors.spectral.frequency", "detectors.spectral.texture"
# Weights name families by their places here: new ones come last.
FEATURES: dict[str, FeatureFamily] = table(
    (
        FeatureFamily("radial", f"{_F}:radial", frequency.RADIAL_SIZE, "Durall et al. 2020"),
        FeatureFamily("phase", f"{_F}:phase", frequency.PHASE_SIZE, "SPSL, Liu et al. 2021"),
        FeatureFamily("bands", f"{_F}:bands", frequency.BANDS_SIZE, "F3-Net, Qian et al. 2020"),
        FeatureFamily("peaks", f"{_F}:peaks", frequency.PEAKS_SIZE, "Zhang et al. 2019"),
        FeatureFamily("log", f"{_T}:laplacian_of_gaussian", texture.LOG_SIZE, "Marr & Hildreth 1980"),
        FeatureFamily("srm", f"{_T}:srm", texture.SRM_SIZE, "Fridrich & Kodovsky 2012"),
        FeatureFamily("svd", f"{_T}:svd_residual", texture.SVD_SIZE, "Eckart & Young 1936"),
        FeatureFamily("colour", f"{_T}:colour", texture.COLOUR_SIZE, "Li et al. 2020"),
        FeatureFamily("regions", f"{_T}:regions", texture.REGIONS_SIZE, "FWA, Li & Lyu 2019"),
        FeatureFamily("gram", f"{_T}:gram", texture.GRAM_SIZE, "Gram-Net, Liu et al. 2020"),
    )
)


class Spectral(nn.Module):
    """Pictures (B, 3, H, W) in 0..1 -> log-odds of synthetic (B,): features of `families`, standardised, linear.

    Raises UnknownName for a family that is not there.
    """

    exportable = False  # Fourier transforms and singular values
    families: Tensor

    def __init__(self, families: Sequence[str] = tuple(FEATURES), head: Mapping[str, int] | None = None) -> None:
        super().__init__()
        rows = [find(FEATURES, name, "family of features") for name in families]
        self.functions = [resolve(row.target) for row in rows]
        places = list(FEATURES)
        self.register_buffer("families", torch.tensor([places.index(row.name) for row in rows]))
        self.head = Head(**(head or {"features": sum(row.size for row in rows)}))

    def features(self, x_BCHW: Tensor) -> Tensor:
        """(B, F), the families one after the other."""
        return torch.cat([function(x_BCHW) for function in self.functions], dim=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BCHW))
        return log_odds


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The families and the size of the head that a state holds. Raises CheckpointError for unknown families."""
    names = list(FEATURES)
    if "families" not in state:
        raise CheckpointError("weights: they name no families of features: they are of another detector than spectral")
    places = state["families"].long().tolist()
    if not places or not all(0 <= place < len(names) for place in places):
        raise CheckpointError(f"weights: they name families of features by {places}; there are {len(names)}")
    return state, {"families": [names[place] for place in places], "head": head_size(state)}
