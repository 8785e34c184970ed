"""The way that a clip's frames take through an embedding: how far, how bent, how even.

Zheng et al., "D3: Training-Free AI-Generated Video Detection Using Second-Order Features", ICCV 2025: the standard
deviation of the second differences, which are the changes of the distance between neighbours. Internò et al.,
"AI-Generated Video Detection via Perceptual Straightening" (ReStraV), NeurIPS 2025: the seven distances and six angles
of eight frames, with mean, least, most and variance of each. The embedding is NPR's, trained on images; on it nothing
is trained but a head on these 22 numbers, or a scale and a threshold on the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.heads.head import Head, head_size
from detectors.npr.network import FEATURES, NPR
from subnet.errors import CheckpointError

LEAST = 1e-3  # of a step, and of an angle's distance from 0 and pi; ONNX drops as nothing what is below 1e-8, squared
Statistics = Literal["d3", "all"]


def second_differences(steps_BS: Tensor) -> Tensor:
    """D3: how much the length of steps (B, S) changes from one to the next, its standard deviation: (B, 1)."""
    return steps_BS.diff(dim=1).std(dim=1, correction=0, keepdim=True)


def spread(values_BN: Tensor) -> Tensor:
    """Mean, least, most and variance: (B, 4)."""
    parts = [values_BN.mean(1), values_BN.amin(1), values_BN.amax(1), values_BN.var(1, correction=0)]
    return torch.stack(parts, dim=1)


def statistics(embeddings_BTF: Tensor, wanted: Statistics = "all") -> Tensor:
    """D3's number first, then ReStraV's: (B, 1) or, of eight frames, (B, 22). Angles in radians, 0..pi."""
    moves = embeddings_BTF.diff(dim=1)
    steps = (moves.square().sum(dim=2) + LEAST**2).sqrt()
    found = second_differences(steps)
    if wanted == "d3":
        return found
    cosines = (moves[:, 1:] * moves[:, :-1]).sum(dim=2) / (steps[:, 1:] * steps[:, :-1])
    angles = torch.acos(cosines.clamp(LEAST - 1, 1 - LEAST))
    return torch.cat([found, steps, angles, spread(steps), spread(angles)], dim=1)


class Trajectory(nn.Module):
    """Normalised clips (B, 8, 3, h, w) -> log-odds of synthetic (B,), by a fitted head on `statistics`."""

    def __init__(self, wanted: Statistics = "all", head: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.wanted = wanted
        self.encoder = NPR()
        self.head: Head = Head(**(head or {"features": 1 if wanted == "d3" else 22}))

    def features(self, x_BTCHW: Tensor) -> Tensor:
        """(B, 1) or (B, 22)."""
        flat = self.encoder.features(x_BTCHW.flatten(0, 1))
        return statistics(flat.reshape(-1, x_BTCHW.shape[1], FEATURES), self.wanted)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BTCHW))
        return log_odds


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The sizes of the head that the tensors show. Raises CheckpointError where there is none."""
    try:
        size = head_size(state)
    except KeyError as error:
        raise CheckpointError(f"weights: not a trajectory detector: {error} is missing") from error
    return state, {"wanted": "d3" if size["features"] == 1 else "all", "head": size}


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Take a trained NPR as the embedding."""
    if not isinstance(network, Trajectory):
        raise CheckpointError(f"weights: an NPR is the embedding of a trajectory, not of {type(network).__name__}")
    load_strictly(network.encoder, state, "the NPR")
