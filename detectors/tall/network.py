"""TALL: four neighbouring frames as one 2x2 picture, judged by a Swin transformer.

Xu et al., "TALL: Thumbnail Layout for Deepfake Video Detection", ICCV 2023. Swin-B with windows of 14 and a learnable
vector for each frame's quarter: 86.9 M parameters, 356 tensors. A video is all of its clips, each of which is scored.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.pixels.clips import BLANK, CLIP, clip_frames
from detectors.preprocess import centre_square, prepare, tiles
from detectors.rows import Preprocess
from detectors.tall.swin import PatchEmbed, Stage
from subnet.types import Media

SIDE = 224  # of the picture
PATCH = 4
GAIN = 4.0  # on the first filters of a network that starts from nothing: residuals are faint


def mosaic_shape(frames: int) -> tuple[int, int]:
    """Rows and columns of a mosaic, as near to a square as there is: 4 frames make 2x2, 8 make 2x4."""
    rows = max(rows for rows in range(1, math.isqrt(frames) + 1) if frames % rows == 0)
    return rows, frames // rows


def mosaic(x_BTCHW: Tensor) -> Tensor:
    """Frames in reading order as one picture: (B, 4, C, h, w) -> (B, C, 2h, 2w)."""
    rows, columns = mosaic_shape(x_BTCHW.shape[1])
    parts = [torch.cat(x_BTCHW[:, columns * row : columns * (row + 1)].unbind(1), dim=-1) for row in range(rows)]
    return torch.cat(parts, dim=-2)


class TALL(nn.Module):
    """Normalised clips (B, 4, 3, h, w) -> log-odds of synthetic (B,). The defaults are the published size."""

    def __init__(
        self,
        width: int = 128,
        depths: Sequence[int] = (2, 2, 18, 2),
        heads: Sequence[int] = (4, 8, 16, 32),
        window: int = 14,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        side = SIDE // PATCH
        drops = np.linspace(0, drop_path, sum(depths)).tolist()
        self.patch_embed = PatchEmbed(width, PATCH)
        self.frame_pos_embed = nn.Parameter(torch.zeros(1, CLIP, width))
        self.layers = nn.ModuleList()
        for number, (depth, count) in enumerate(zip(depths, heads, strict=True)):
            first = sum(depths[:number])
            last = number == len(depths) - 1
            own = drops[first : first + depth]
            self.layers.append(Stage(width << number, count, side >> number, window, own, last=last))
        final = width << (len(depths) - 1)
        self.norm = nn.LayerNorm(final)
        self.head = nn.Linear(final, 2)
        nn.init.trunc_normal_(self.frame_pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed(self, x_BTCHW: Tensor) -> Tensor:
        """Tokens (B, 56 * 56, C) of the mosaic, each with the vector of the frame that it lies in."""
        picture = mosaic(x_BTCHW)
        if picture.shape[-2:] != (SIDE, SIDE):
            picture = functional.interpolate(picture, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        tokens = self.patch_embed(picture)
        side = SIDE // PATCH
        frame = self.frame_pos_embed.view(2, 2, -1).repeat_interleave(side // 2, 0).repeat_interleave(side // 2, 1)
        placed: Tensor = tokens + frame.view(1, side * side, -1)
        return placed

    def classes(self, x_BTCHW: Tensor) -> Tensor:
        """Logits of real and synthetic: (B, 2)."""
        y = self.embed(x_BTCHW)
        for stage in self.layers:
            y = stage(y)
        logits: Tensor = self.head(self.norm(y).mean(dim=1))
        return logits

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        logits = self.classes(x_BTCHW)
        return logits[:, 1] - logits[:, 0]


def clip_views(media: Media, preprocess: Preprocess, device: torch.device, length: int = CLIP) -> Tensor:
    """The clips of a video that are judged, as (V, `length`, 3, h, w).

    With the rule "tiles" frames are not shrunk: the four corner squares of each clip are clips of their own.
    """
    clips = clip_frames(len(media.frames), preprocess.clips, length)
    needed = sorted({frame for clip in clips for frame in clip} - {BLANK})
    frames = prepare(media.frames[needed], preprocess, device)
    if preprocess.frame_side:
        size = (preprocess.frame_side, preprocess.frame_side)
        frames = functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
    frames = torch.cat([frames, torch.zeros_like(frames[:1])])  # the last one is BLANK
    places = {frame: place for place, frame in enumerate([*needed, BLANK])}
    views = torch.stack([frames[[places[frame] for frame in clip]] for clip in clips])
    if preprocess.rule == "tiles":
        return torch.cat([tiles(clip, preprocess.size) for clip in views])
    return views


def still_views(media: Media, preprocess: Preprocess, device: torch.device) -> Tensor:
    """An image as one clip (1, 4, 3, h, w): the quarters of its centre, which the mosaic puts together again."""
    picture = centre_square(prepare(media.frames, preprocess, device))
    inset = (picture.shape[-1] - 2 * preprocess.size) // 2
    side = 2 * preprocess.size
    return quarters(picture[..., inset : inset + side, inset : inset + side])


def quarters(x_BCHW: Tensor) -> Tensor:
    """The inverse of `mosaic`: (B, C, 2h, 2w) -> (B, 4, C, h, w)."""
    return torch.stack([part for half in x_BCHW.chunk(2, dim=-2) for part in half.chunk(2, dim=-1)], dim=1)


def start_with_cosines(network: nn.Module) -> None:
    """Let the first filters be the cosines of a 4x4 cell, and the first MLP take their magnitudes.

    For training without ImageNet weights, which the authors start from: how much energy lies in which cosine tells most
    of what a generator leaves behind. The level is left out; brightness comes before colour; each cosine is weighted by
    its frequency, against the 1/f of photographs. Magnitudes are GELU(x) + GELU(-x).
    """
    if not isinstance(network, TALL):
        raise TypeError(f"this starts TALL, not {type(network).__name__}")
    kernels, mlp = network.patch_embed.proj.weight, network.get_submodule("layers.0.blocks.0.mlp")
    place, order = torch.arange(PATCH) + 0.5, torch.arange(PATCH)
    cosines = torch.cos(torch.pi / PATCH * order[:, None] * place[None, :])
    cosines = cosines / cosines.norm(dim=1, keepdim=True)
    axes = torch.tensor([[0.3, 0.6, 0.1], [-0.2, -0.3, 0.5], [0.5, -0.4, -0.1]])  # brightness, and two of colour
    filters = [
        axis.view(3, 1, 1) * torch.outer(cosines[down], cosines[across]) * GAIN * math.hypot(down, across)
        for axis in axes
        for down, across in sorted(itertools.product(range(PATCH), repeat=2), key=sum)[1:]
    ]
    with torch.no_grad():
        count = min(len(kernels), len(filters))
        kernels[:count] = torch.stack(filters[:count])
        same = torch.eye(len(kernels))
        mlp.get_parameter("fc1.weight")[: 2 * len(same)] = 2 * torch.cat([same, -same])
        mlp.get_parameter("fc2.weight")[:, : 2 * len(same)] = torch.cat([same, same], dim=1)
