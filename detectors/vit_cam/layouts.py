"""Checkpoints of vision transformers in timm's key names: ours, and those that training starts from."""

from __future__ import annotations

from typing import Any

from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.vit_cam.network import Stem, VitCam
from subnet.errors import CheckpointError

HEAD = ("head.weight", "head.bias")
_STEM = "patch_embed.layers."


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The same keys, and the size that the tensors show. Raises CheckpointError when this is no detector of ours."""
    token, head = state.get("cls_token"), state.get("head.weight")
    if token is None or token.ndim != 3 or head is None or head.ndim != 2:
        raise CheckpointError("weights: not a vit_cam checkpoint: cls_token and head.weight are needed")
    if len(head) != 1:
        raise CheckpointError(
            f"weights: a vision transformer that tells {len(head)} classes is no detector: "
            "train it with `assay train vit_cam --size published --init FILE`"
        )
    depth = 1 + max((int(key.split(".")[1]) for key in state if key.startswith("blocks.")), default=-1)
    widths = {int(key.split(".")[2]): len(value) for key, value in state.items() if _is_kernel(key, value)}
    stem = tuple(width for _, width in sorted(widths.items()))
    return state, {"width": token.shape[2], "depth": depth, "stem": stem}


def _is_kernel(key: str, value: Tensor) -> bool:
    return key.startswith(_STEM) and value.ndim == 4


def is_backbone(state: dict[str, Tensor]) -> bool:
    """Whether this is a vision transformer that tells no synthetic media: of ImageNet's classes, or without a head."""
    head = state.get("head.weight")
    return "cls_token" in state and "patch_embed.proj.weight" in state and (head is None or len(head) != 1)


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Start from a vision transformer of timm; the head stays as it is.

    The table of places is resized, as timm does, where the backbone knows pictures of another size.
    """
    if not isinstance(network, VitCam):
        raise CheckpointError(f"weights: a vision transformer starts vit_cam, not {type(network).__name__}")
    if isinstance(network.patch_embed, Stem):
        raise CheckpointError(
            "weights: a vision transformer of patches does not fit the small size: add --size published"
        )
    own = network.state_dict()
    body = {key: value for key, value in state.items() if key not in HEAD}
    places = body.get("pos_embed")
    if places is not None and places.ndim == 3 and places.shape[1] != own["pos_embed"].shape[1]:
        grid = network.patch_embed.grid_size
        body["pos_embed"] = resample_abs_pos_embed(places.float(), list(grid))
    load_strictly(network, {**body, **{key: own[key] for key in HEAD}}, "the vision transformer")
