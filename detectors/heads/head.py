"""A head as a module of buffers: features are standardised, projected on principal components, and decided upon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

DEGREE = 3  # of the polynomial kernel
LEAST_SCALE = 1e-6
UNFITTED = {"features": 1}  # the size of a head that stands for one to come


class Head(nn.Module):
    """Features (B, F) -> log-odds of synthetic (B,).

    x is standardised, projected on `components` principal components where there are any, and then decided linearly or,
    with `vectors` support vectors, by a support vector machine with the kernel (gamma * <x, v> + 1) ** 3 (Cortes &
    Vapnik 1995, section 3); its distance from the margin is the log-odds up to calibration.
    """

    mean: Tensor
    scale: Tensor
    components: Tensor | None
    vectors: Tensor | None
    gamma: Tensor | None
    weight: Tensor
    bias: Tensor

    def __init__(self, features: int, components: int = 0, vectors: int = 0) -> None:
        super().__init__()
        inputs = components or features
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("components", torch.zeros(components, features) if components else None)
        self.register_buffer("vectors", torch.zeros(vectors, inputs) if vectors else None)
        self.register_buffer("gamma", torch.ones(()) if vectors else None)
        self.register_buffer("weight", torch.zeros(vectors or inputs))
        self.register_buffer("bias", torch.zeros(()))

    def project(self, x_BF: Tensor) -> Tensor:
        """What is decided upon: standardised features, or their principal components (B, components)."""
        x = (x_BF - self.mean) / self.scale
        return x if self.components is None else x @ self.components.T

    def forward(self, x_BF: Tensor) -> Tensor:
        x = self.project(x_BF)
        if self.vectors is not None and self.gamma is not None:
            x = (self.gamma * (x @ self.vectors.T) + 1.0) ** DEGREE
        log_odds: Tensor = x @ self.weight + self.bias
        return log_odds


def head_size(state: Mapping[str, Tensor], prefix: str = "head.") -> dict[str, Any]:
    """The arguments of the `Head` whose tensors `state` holds below `prefix`. Raises KeyError where there is none."""
    features = len(state[f"{prefix}mean"])
    components, vectors = (state.get(f"{prefix}{name}") for name in ("components", "vectors"))
    return {
        "features": features,
        "components": 0 if components is None else len(components),
        "vectors": 0 if vectors is None else len(vectors),
    }
