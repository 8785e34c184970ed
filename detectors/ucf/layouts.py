"""Public layouts of UCF and of the ImageNet Xception that its encoders start from."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from detectors.backbones.xception import fill
from detectors.ucf.network import UCF
from subnet.errors import CheckpointError


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A flat UCF state dict; its widths and the number of methods are read off its tensors. Raises CheckpointError."""
    keys = "encoder_f.conv1.weight", "block_sha.conv2d.0.weight", "head_spe.mlp.2.weight"
    stem, outer, methods = (state.get(key) for key in keys)
    if stem is None or outer is None or methods is None or (stem.ndim, outer.ndim, methods.ndim) != (4, 4, 2):
        raise CheckpointError(f"weights: not a UCF checkpoint: {', '.join(keys)} are needed")
    return state, {"width": outer.shape[1] / 512, "methods": methods.shape[0], "least": stem.shape[0]}


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Start both encoders of the published size from an ImageNet Xception, whose classifier is left behind."""
    if not isinstance(network, UCF):
        raise CheckpointError(f"weights: an Xception starts UCF, not {type(network).__name__}")
    for encoder in (network.encoder_f, network.encoder_c):
        fill(encoder, state)
