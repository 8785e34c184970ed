"""Public layouts of UCF and of the ImageNet Xception that its encoders start from."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.ucf.network import UCF
from subnet.errors import CheckpointError


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A flat UCF state dict; its widths and the number of methods are read off its tensors. Raises CheckpointError."""
    keys = "encoder_f.conv1.weight", "block_sha.conv2d.0.weight", "head_spe.mlp.2.weight"
    stem, outer, methods = (state.get(key) for key in keys)
    if stem is None or outer is None or methods is None or (stem.ndim, outer.ndim, methods.ndim) != (4, 4, 2):
        raise CheckpointError(f"weights: not a UCF checkpoint: {', '.join(keys)} are needed")
    return state, {"width": outer.shape[1] / 512, "methods": methods.shape[0], "least": stem.shape[0]}


def is_backbone(state: dict[str, Tensor]) -> bool:
    """Whether this is an Xception trained on ImageNet (timm's `legacy_xception`, or the older file)."""
    return "conv1.weight" in state and "block12.skip.weight" in state


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Start both encoders of the published size from an ImageNet Xception, whose classifier is left behind."""
    if not isinstance(network, UCF):
        raise CheckpointError(f"weights: an Xception starts UCF, not {type(network).__name__}")
    body = {key: value for key, value in state.items() if not key.startswith(("fc.", "last_linear.", "classifier."))}
    flat = {key for key, value in body.items() if "pointwise" in key and value.ndim == 2}
    body |= {key: body[key][..., None, None] for key in flat}
    for encoder in (network.encoder_f, network.encoder_c):
        state_now = encoder.state_dict()
        own = {key: value for key, value in state_now.items() if key.startswith(("adjust_channel", "last_linear"))}
        counters = {key: value for key, value in state_now.items() if key.endswith("num_batches_tracked")}
        load_strictly(encoder, {**counters, **body, **own}, "the ImageNet Xception")
