"""An Xception on small patches of a picture, each of which is judged alone.

The picture's log-odds are the mean over its patches that do not overlap, from the top left corner on; no pixel is
resized. What is left at the right and at the bottom, where the patch does not divide the picture, is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from detectors.backbones.xception import Xception, fill
from detectors.first_filters import see_residuals
from subnet.errors import CheckpointError, DataError

SMALLEST, LARGEST = 16, 256  # sides of a patch in pixels: an Xception needs the one, pictures have the other


def cut(x_BCHW: Tensor, patch: int) -> Tensor:
    """All patches that do not overlap, row by row: (B * rows * columns, C, patch, patch).

    Raises DataError for a patch that is larger than the picture.
    """
    count, channels, height, width = x_BCHW.shape
    rows, columns = height // patch, width // patch
    if not rows or not columns:
        raise DataError(
            f"patch: {patch} pixels a side do not fit into a picture of {width}x{height}; "
            f"take patches of at most {min(height, width)}"
        )
    whole = x_BCHW[..., : rows * patch, : columns * patch]
    apart = whole.reshape(count, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
    return apart.reshape(count * rows * columns, channels, patch, patch)


class Patchwise(nn.Module):
    """Normalised RGB (B, 3, H, W) -> log-odds of synthetic (B,): the mean over patches of `patch` pixels a side.

    Width 1 is the published Xception. `places` passes the log-odds of all patches on, (B, 1, rows, columns).
    """

    side: Tensor

    def __init__(self, patch: int = 64, width: float = 1.0, least: int = 4) -> None:
        super().__init__()
        if not SMALLEST <= patch <= LARGEST:
            raise ValueError(f"patch must be in {SMALLEST}..{LARGEST} pixels, not {patch}")
        self.patch = patch
        self.body = Xception(width, least)
        self.head = nn.Linear(self.body.channels, 1)
        self.places = nn.Identity()
        self.register_buffer("side", torch.tensor(patch))  # so that a checkpoint tells it

    def judge(self, patches_NCHW: Tensor) -> Tensor:
        """Log-odds of patches, one by one: (N,)."""
        features = torch.relu(self.body(patches_NCHW)).mean(dim=(2, 3))
        log_odds: Tensor = self.head(features).squeeze(1)
        return log_odds

    def by_place(self, x_BCHW: Tensor) -> Tensor:
        """Log-odds of every patch at its place: (B, 1, rows, columns). Raises DataError where not one fits."""
        rows, columns = (side // self.patch for side in x_BCHW.shape[-2:])
        log_odds: Tensor = self.places(self.judge(cut(x_BCHW, self.patch)).reshape(-1, 1, rows, columns))
        return log_odds

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.by_place(x_BCHW).mean(dim=(1, 2, 3))


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Our own layout; patch and width are read off its tensors. Raises CheckpointError."""
    side, stem, head = (state.get(key) for key in ("side", "body.conv1.weight", "head.weight"))
    if side is None or stem is None or head is None or (side.ndim, stem.ndim, head.ndim) != (0, 4, 2):
        raise CheckpointError("weights: not a patchwise checkpoint: side, body.conv1.weight and head.weight are needed")
    return state, {"patch": int(side), "width": head.shape[1] / 2048, "least": stem.shape[0]}


def start(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Start the body of the published size from an ImageNet Xception. Raises CheckpointError."""
    fill(_patchwise(network).body, state)


def start_with_residuals(network: nn.Module) -> None:
    """Let the first filters see residuals alone, where no ImageNet weights are at hand."""
    see_residuals(_patchwise(network).body.conv1.weight)


def _patchwise(network: nn.Module) -> Patchwise:
    if not isinstance(network, Patchwise):
        raise CheckpointError(f"weights: an Xception of patches starts Patchwise, not {type(network).__name__}")
    return network
