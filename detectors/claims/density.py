"""How far features lie from those of validation items: probabilistic principal components (Tipping & Bishop 1999).

Features are standardised; within the subspace of the largest components a Gaussian with their variances, outside of it
one variance for all directions. The distance is Mahalanobis', in deviations, divided by the root of the dimensions, so
that a typical item lies near 1. Its parameters ship beside the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from subnet.errors import CheckpointError
from subnet.files import write_atomically

COMPONENTS = 32
LEAST_VARIANCE = 1e-3  # of a standardised feature
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Density:
    """Mean and scale (F,) of features, components (K, F), their variances (K,), `rest` that of other directions."""

    mean: Floats
    scale: Floats
    components: Floats
    variances: Floats
    rest: float

    def distances(self, features: Floats) -> Floats:
        """Of features (N, F): (N,), about 1 for a typical item. Raises ValueError for features of another size."""
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ValueError(f"features of {len(self.mean)} numbers are needed, not {features.shape}")
        x = (features - self.mean) / self.scale
        inside = x @ self.components.T
        outside = np.maximum((x**2).sum(axis=1) - (inside**2).sum(axis=1), 0.0)
        squared = (inside**2 / self.variances).sum(axis=1) + outside / self.rest
        result: Floats = np.sqrt(squared / len(self.mean)).astype(np.float32)
        return result


def fit(features: Floats, components: int = COMPONENTS) -> Density:
    """The density of features (N, F), N > 2 items. Features that do not vary count little. Raises ValueError."""
    if features.ndim != 2 or len(features) < 3 or not np.isfinite(features).all():
        raise ValueError(f"a density needs finite features of at least 3 items, not {features.shape}")
    exact = features.astype(np.float64)
    mean, deviation = exact.mean(axis=0), exact.std(axis=0)
    scale = np.maximum(deviation, LEAST_VARIANCE * max(float(deviation.max()), LEAST_VARIANCE))
    _, singular, directions = np.linalg.svd((exact - mean) / scale, full_matrices=False)
    variances = singular**2 / (len(exact) - 1)
    kept = min(components, len(variances) - 1, exact.shape[1] - 1)
    rest = max(float(variances[kept:].sum()) / (exact.shape[1] - kept), LEAST_VARIANCE) if kept else 1.0
    inside = directions[:kept].astype(np.float16).astype(np.float32)  # as stored
    return Density(
        mean.astype(np.float32),
        scale.astype(np.float32),
        inside,
        np.maximum(variances[:kept], rest).astype(np.float32),
        rest,
    )


def write_density(path: Path, density: Density) -> None:
    """Store it as safetensors, components in half precision."""
    tensors = {
        "mean": density.mean,
        "scale": density.scale,
        "components": density.components.astype(np.float16),
        "variances": density.variances,
        "rest": np.array([density.rest], dtype=np.float64),
    }
    write_atomically(path, save(tensors))


def read_density(path: Path) -> Density:
    """Raises CheckpointError for a file that is missing, damaged, or holds something else."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"claims: {path} is no density of features: {error.strerror}") from error
    try:
        tensors = load(data)
        wide = {name: tensors[name].astype(np.float32) for name in ("mean", "scale", "components", "variances")}
        density = Density(**wide, rest=float(tensors["rest"][0]))
        density.distances(np.zeros((1, len(density.mean)), dtype=np.float32))
    except (SafetensorError, LookupError, ValueError) as error:
        raise CheckpointError(f"claims: {path} is no density of features: {error}") from error
    return density
