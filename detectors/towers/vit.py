"""Vision transformers with one linear layer on the class token, in timm's network and in their publications' keys.

Community Forensics (Park & Owens, CVPR 2025): ViT-S/16 at 384 pixels, 21,811,969 parameters in 152 tensors.
DDA (Chen et al., NeurIPS 2025): DINOv2 ViT-L/14 at 336 pixels with low-rank adapters of rank 8 on every linear layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from detectors.tensor_files import some
from subnet.errors import CheckpointError

HEAD_WIDTH = 64  # of one attention head, in all of these
SIDE = 336  # pixels that DDA is shown
ADAPTED = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
SCALE = 1.0  # DDA's alpha: adapters weigh alpha / rank
OFFSET = 0.1  # added to the grid that DINOv2's table of places is resized to, against rounding
BODY, LAYER = "base_model.model.", "base_model.fc."


class ViT(nn.Module):
    """Normalised RGB (B, 3, side, side) -> log-odds of synthetic (B,)."""

    def __init__(self, width: int, depth: int, patch: int, side: int, scaled: bool = False) -> None:
        super().__init__()
        self.vit = VisionTransformer(
            img_size=side,
            patch_size=patch,
            num_classes=1,
            embed_dim=width,
            depth=depth,
            num_heads=max(1, width // HEAD_WIDTH),
            init_values=1e-5 if scaled else None,
        )

    def features(self, x_BCHW: Tensor) -> Tensor:
        """What the last layer decides upon: the normalised class token (B, width)."""
        token: Tensor = self.vit.forward_head(self.vit.forward_features(x_BCHW), pre_logits=True)
        return token

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logit: Tensor = self.vit.head(self.features(x_BCHW)).squeeze(1)
        return logit


class CommunityForensics(ViT):
    """ViT-S/16 at 384 pixels where nothing else is said."""

    def __init__(self, width: int = 384, depth: int = 12, patch: int = 16, side: int = 384) -> None:
        super().__init__(width, depth, patch, side)


class DDA(ViT):
    """DINOv2's ViT-L/14 at 336 pixels where nothing else is said; its adapters are added to the weights they adapt."""

    def __init__(self, width: int = 1024, depth: int = 24, patch: int = 14, side: int = SIDE) -> None:
        super().__init__(width, depth, patch, side, scaled=True)


def adapt_community_forensics(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The published keys (`vit.` before timm's), or timm's own as re-trained heads are stored, and the network's size.

    Raises CheckpointError for another layout.
    """
    if not any(key.startswith("vit.") for key in state):
        state = {f"vit.{key}": value for key, value in state.items()}
    size = _size(state, "vit.", "Community Forensics")
    if len(state.get("vit.head.weight", ())) != 1:
        raise CheckpointError("weights: Community Forensics has one output: vit.head.weight must be (1, width)")
    places = state["vit.pos_embed"].shape[1] - 1
    return state, {**size, "side": math.isqrt(places) * size["patch"]}


def adapt_dda(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The published keys as timm's: adapters merged, the table of places resized to the 24 x 24 of 336 pixels.

    Raises CheckpointError for another layout, naming keys.
    """
    if f"{LAYER}weight" not in state:
        raise CheckpointError("weights: not a DDA checkpoint: base_model.fc.weight is needed")
    size = _size(state, BODY, "DDA")
    inner = {key.removeprefix(BODY): value for key, value in state.items() if key.startswith(BODY)}
    merged = _merged(inner)
    merged.pop("mask_token", None)  # of its training
    merged["pos_embed"] = resize_places(merged["pos_embed"], SIDE // size["patch"])
    merged |= {key.replace(LAYER, "head."): value for key, value in state.items() if key.startswith(LAYER)}
    other = {key: value for key, value in state.items() if not key.startswith((BODY, LAYER))}
    return {**{f"vit.{key}": value for key, value in merged.items()}, **other}, size


def _size(state: Mapping[str, Tensor], before: str, what: str) -> dict[str, int]:
    """Width, depth and patch that the tensors show."""
    kernel, places = state.get(f"{before}patch_embed.proj.weight"), state.get(f"{before}pos_embed")
    if kernel is None or kernel.ndim != 4 or places is None or places.ndim != 3 or places.shape[1] < 2:
        raise CheckpointError(
            f"weights: not a checkpoint of {what}: {before}patch_embed.proj.weight and {before}pos_embed are needed"
        )
    blocks = f"{before}blocks."
    numbers = [key.removeprefix(blocks).partition(".")[0] for key in state if key.startswith(blocks)]
    depth = 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)
    return {"width": kernel.shape[0], "depth": depth, "patch": kernel.shape[2]}


def _merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """W + B A / rank for every layer `original_layer` with its `lora`; all other tensors as they are."""
    plain = {key: value for key, value in state.items() if ".original_layer." not in key and ".lora." not in key}
    names = sorted({key.partition(".original_layer.")[0] for key in state if ".original_layer." in key})
    wanted = [f"{name}.{rest}" for name in names for rest in ("original_layer.weight", "lora.lora_A", "lora.lora_B")]
    if missing := [key for key in wanted if key not in state]:
        raise CheckpointError(f"weights: adapters of a DDA checkpoint are missing: {some(missing)}")
    loose = [key for key in state if ".lora." in key and key.partition(".lora.")[0] not in names]
    if loose or not names or not all(name.endswith(ADAPTED) for name in names):
        found = some([*loose, *names]) or "nothing"
        raise CheckpointError(f"weights: a DDA checkpoint adapts {', '.join(ADAPTED)} of its blocks, not {found}")
    for name in names:
        down, up = state[f"{name}.lora.lora_A"], state[f"{name}.lora.lora_B"]
        weight = state[f"{name}.original_layer.weight"]
        if down.ndim != 2 or up.shape != (len(weight), len(down)) or down.shape[1:] != weight.shape[1:]:
            raise CheckpointError(f"weights: the adapter {name}.lora does not fit {tuple(weight.shape)}")
        plain[f"{name}.weight"] = weight + (up @ down) * (SCALE / len(down))
        if (bias := state.get(f"{name}.original_layer.bias")) is not None:
            plain[f"{name}.bias"] = bias
    return plain


def resize_places(places_1NC: Tensor, grid: int) -> Tensor:
    """DINOv2's table of places for `grid` x `grid` patches, bicubic as its own program does: (1, 1 + grid**2, C)."""
    token, table = places_1NC[:, :1], places_1NC[:, 1:]
    side = math.isqrt(table.shape[1])
    if side == grid:
        return places_1NC
    maps = table.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (grid + OFFSET) / side
    resized = functional.interpolate(maps, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([token, resized.permute(0, 2, 3, 1).reshape(1, grid * grid, -1)], dim=1)
