"""ViT-B/16 (Dosovitskiy et al., ICLR 2021) with one log-odds as its head: timm's network, and timm's key names.

The small size has a stem of convolutions in place of the embedding of bare patches (Xiao et al., "Early Convolutions
Help Transformers See Better", NeurIPS 2021) and no table of places: traces of generators are the same everywhere, and
the padding of the convolutions tells tokens at the border apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from detectors.first_filters import see_residuals
from detectors.preprocess import centre_square, prepare
from detectors.rows import Preprocess
from subnet.errors import MediaUnreadable
from subnet.types import Media

PATCH = 16
SIDE = 224  # of the pictures whose places the published table names
HEAD_WIDTH = 64  # channels of an attention head, in all of timm's sizes of this network


class Stem(nn.Module):
    """3x3 convolutions, the last four with stride 2: (B, 3, H, W) -> tokens (B, H/16 * W/16, C)."""

    def __init__(self, widths: Sequence[int], embed_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for number, width in enumerate(widths):
            stride = 1 if number < len(widths) - 4 else 2
            layers += [nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.proj = nn.Conv2d(inputs, embed_dim, 1)
        self.num_patches = (SIDE // PATCH) ** 2

    def forward(self, x_BCHW: Tensor) -> Tensor:
        tokens: Tensor = self.proj(self.layers(x_BCHW)).flatten(2).transpose(1, 2)
        return tokens


class VitCam(VisionTransformer):  # type: ignore[misc]
    """Normalised RGB (B, 3, H, W) -> log-odds of synthetic (B,). The defaults are the published size.

    `stem` holds the widths of the convolutions before the tokens; none: patches of 16 pixels, and a table of places
    for pictures of 224 pixels a side. Then other sizes resize the table as timm does.
    """

    def __init__(self, width: int = 768, depth: int = 12, stem: Sequence[int] = ()) -> None:
        def embedding(embed_dim: int, **_: Any) -> Stem:
            return Stem(stem, embed_dim)

        of_stem = {"embed_layer": embedding, "pos_embed": "none"}
        super().__init__(
            img_size=SIDE,
            patch_size=PATCH,
            num_classes=1,
            embed_dim=width,
            depth=depth,
            num_heads=width // HEAD_WIDTH,
            **(of_stem if stem else {"dynamic_img_size": True}),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        log_odds: Tensor = super().forward(x_BCHW)
        return log_odds.squeeze(1)


def start_with_residuals(network: nn.Module) -> None:
    """Let the first filters of the stem see neither level nor slope of a picture; patches stay as they are."""
    if not isinstance(network, VitCam):
        raise TypeError(f"this starts VitCam, not {type(network).__name__}")
    if isinstance(network.patch_embed, Stem):
        see_residuals(network.patch_embed.get_parameter("layers.0.weight"))


def centre_view(media: Media, preprocess: Preprocess, device: torch.device) -> Tensor:
    """The centre of an image, not resized where it is cut from the canvas: (1, 3, size, size).

    Raises MediaUnreadable for a video.
    """
    if len(media.frames) != 1:
        raise MediaUnreadable(f"an image detector was given {len(media.frames)} frames; use a video detector")
    picture = centre_square(prepare(media.frames, preprocess, device))
    inset = (picture.shape[-1] - preprocess.size) // 2
    return picture[..., inset : inset + preprocess.size, inset : inset + preprocess.size]
