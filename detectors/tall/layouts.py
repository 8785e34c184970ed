"""Public layouts of TALL, and ImageNet Swin transformers to start from.

Three layouts: ours and TALL4Deepfake's (`layers.0.downsample`, `head`), the same under the prefix `model.`
(DeepfakeBench), and timm's (`layers.1.downsample`, `head.fc`, no buffers).
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.checkpoints import load_strictly
from detectors.tall.network import TALL
from subnet.errors import CheckpointError

BUFFERS = ("relative_position_index", "attn_mask")
_DOWNSAMPLE = re.compile(r"^layers\.(\d+)\.downsample\.")


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Keys as in `TALL`, and the size that its tensors show. Raises CheckpointError when it is not a TALL."""
    state = without_prefix(state)
    if "frame_pos_embed" not in state:
        raise CheckpointError("weights: not a TALL checkpoint: frame_pos_embed is missing")
    size = shape(state)
    if is_timm(state):
        buffers = {key: value for key, value in TALL(**size).state_dict().items() if key.endswith(BUFFERS)}
        state = {**buffers, **from_timm(state)}
    return state, size


def without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without `model.` in front where every key has it."""
    if all(key.startswith("model.") for key in state):
        return {key.removeprefix("model."): value for key, value in state.items()}
    return state


def is_timm(state: dict[str, Tensor]) -> bool:
    """Whether the keys are timm's."""
    return "head.fc.weight" in state or "layers.3.downsample.norm.weight" in state


def from_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's names as the original ones: a stage's merge stands at its end, and the head is one layer."""
    renamed = {}
    for key, value in state.items():
        match = _DOWNSAMPLE.match(key)
        if match:
            key = f"layers.{int(match[1]) - 1}.downsample.{key[match.end() :]}"  # noqa: PLW2901
        renamed[key.replace("head.fc.", "head.")] = value
    return {key: value for key, value in renamed.items() if not key.endswith(BUFFERS)}


def shape(state: dict[str, Tensor]) -> dict[str, Any]:
    """Width, depths, heads and window, read off the tensors. Raises CheckpointError naming what is missing."""
    try:
        width = int(state["patch_embed.proj.weight"].shape[0])
        stages = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("layers."))
        blocks = [{key.split(".")[3] for key in state if key.startswith(f"layers.{n}.blocks.")} for n in range(stages)]
        tables = [state[f"layers.{n}.blocks.0.attn.relative_position_bias_table"] for n in range(stages)]
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(f"weights: not a Swin transformer: {error} is missing") from error
    window = max((round(table.shape[0] ** 0.5) + 1) // 2 for table in tables)
    return {
        "width": width,
        "depths": tuple(len(block) for block in blocks),
        "heads": tuple(int(table.shape[1]) for table in tables),
        "window": window,
    }


def is_backbone(state: dict[str, Tensor]) -> bool:
    """Whether this is a Swin trained on ImageNet: everything but the frames' vectors."""
    return "patch_embed.proj.weight" in state and "frame_pos_embed" not in state


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Start from an ImageNet Swin in timm's layout or the original one; head and frame vectors stay as they are.

    Tables of relative position biases are resized bilinearly to the network's window (7 -> 14: 169 -> 729 rows).
    """
    if not isinstance(network, TALL):
        raise CheckpointError(f"weights: a Swin starts TALL, not {type(network).__name__}")
    given = from_timm(state) if is_timm(state) else state
    own = network.state_dict()
    kept = {key: value for key, value in own.items() if key.endswith(BUFFERS) or key.startswith(("head.", "frame_pos"))}
    body = {key: value for key, value in given.items() if not key.startswith("head.") and not key.endswith(BUFFERS)}
    for key, value in body.items():
        if key.endswith("relative_position_bias_table") and key in own:
            body[key] = resize_table(value, own[key].shape[0])
    load_strictly(network, {**body, **kept}, "the ImageNet Swin")


def resize_table(table_RH: Tensor, rows: int) -> Tensor:
    """A table for windows of another size: (old rows, heads) -> (rows, heads)."""
    if table_RH.shape[0] == rows:
        return table_RH
    old, new = round(table_RH.shape[0] ** 0.5), round(rows**0.5)
    grid = table_RH.T.reshape(1, -1, old, old).to(torch.float32)
    larger = functional.interpolate(grid, size=(new, new), mode="bilinear", align_corners=False)
    return larger.view(-1, rows).T.contiguous()
