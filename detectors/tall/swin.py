"""A Swin transformer (Liu et al. 2021) of any size, with the key names of the original implementation.

timm's Swin has the same arithmetic under other names (`detectors.tall.layouts` translates); those names are what TALL's
public checkpoints use, and its windows are larger than timm's defaults.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def windows(x_BHWC: Tensor, size: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, size * size, C), row by row."""
    batch, height, width, depth = x_BHWC.shape
    cut = x_BHWC.view(batch, height // size, size, width // size, size, depth)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size, depth)


def unwindows(x_NLC: Tensor, size: int, height: int, width: int) -> Tensor:
    """The inverse of `windows`: (B, H, W, C)."""
    depth = x_NLC.shape[-1]
    cut = x_NLC.view(-1, height // size, width // size, size, size, depth)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, depth)


def relative_index(size: int) -> Tensor:
    """(size^2, size^2): for each pair of places in a window the row of the table of relative position biases."""
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")).flatten(1)
    apart = grid[:, :, None] - grid[:, None, :] + size - 1
    return apart[0] * (2 * size - 1) + apart[1]


def shift_mask(side: int, size: int, shift: int) -> Tensor:
    """(windows, size^2, size^2): -100 where a cyclic shift has brought places together that are not neighbours."""
    band = torch.zeros(side, dtype=torch.long)
    band[side - size : side - shift], band[side - shift :] = 1, 2
    regions = windows((band[:, None] * 3 + band[None, :]).view(1, side, side, 1), size).squeeze(-1)
    return (regions[:, None, :] != regions[:, :, None]).float() * -100.0


class WindowAttention(nn.Module):
    """Attention among the places of each window, with a learnt bias for each relative position."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * size - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_index(size))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x_NLC: Tensor, mask_WLL: Tensor | None) -> Tensor:
        count, length, width = x_NLC.shape
        q, k, v = self.qkv(x_NLC).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        bias = bias.view(1, length, length, self.heads).permute(0, 3, 1, 2)
        if mask_WLL is not None:
            tiled = mask_WLL.repeat(count // len(mask_WLL), 1, 1)
            bias = bias + tiled[:, None].to(bias.dtype)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        out: Tensor = self.proj(y.transpose(1, 2).reshape(count, length, width))
        return out


class Mlp(nn.Module):
    """Two layers with GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x_BLC: Tensor) -> Tensor:
        y: Tensor = self.fc2(functional.gelu(self.fc1(x_BLC)))
        return y


class SwinBlock(nn.Module):
    """Window attention, shifted by half a window where `shift` says so, and an MLP; both with a short cut."""

    attn_mask: Tensor | None

    def __init__(self, width: int, heads: int, side: int, size: int, shift: int, drop_path: float) -> None:
        super().__init__()
        self.side, self.size, self.shift, self.drop_path = side, size, shift, drop_path
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, size)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)
        self.register_buffer("attn_mask", shift_mask(side, size, shift) if shift else None)

    def forward(self, x_BLC: Tensor) -> Tensor:
        batch, length, width = x_BLC.shape
        y = self.norm1(x_BLC).view(batch, self.side, self.side, width)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = unwindows(self.attn(windows(y, self.size), self.attn_mask), self.size, self.side, self.side)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x_BLC + self._dropped(y.reshape(batch, length, width))
        return x + self._dropped(self.mlp(self.norm2(x)))

    def _dropped(self, y_BLC: Tensor) -> Tensor:
        """Stochastic depth (Huang et al. 2016): whole items are left out while training, the others scaled up."""
        if not self.training or self.drop_path == 0:
            return y_BLC
        keep = 1 - self.drop_path
        return y_BLC * (torch.rand(len(y_BLC), 1, 1, device=y_BLC.device) < keep).to(y_BLC.dtype) / keep


class Merge(nn.Module):
    """Four neighbouring places become one of twice the width."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x_BLC: Tensor) -> Tensor:
        batch, _, width = x_BLC.shape
        x = x_BLC.view(batch, self.side, self.side, width)
        merged = torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], dim=-1)
        y: Tensor = self.reduction(self.norm(merged.view(batch, -1, 4 * width)))
        return y


class Stage(nn.Module):
    """Blocks of one width, every second one shifted, then a merge (not in the last stage)."""

    def __init__(self, width: int, heads: int, side: int, window: int, drops: Sequence[float], *, last: bool) -> None:
        super().__init__()
        size = min(window, side)
        shift = 0 if side <= window else size // 2
        self.blocks = nn.ModuleList(
            SwinBlock(width, heads, side, size, shift * (number % 2), drop) for number, drop in enumerate(drops)
        )
        self.downsample = None if last else Merge(side, width)

    def forward(self, x_BLC: Tensor) -> Tensor:
        for block in self.blocks:
            x_BLC = block(x_BLC)
        return x_BLC if self.downsample is None else self.downsample(x_BLC)


class PatchEmbed(nn.Module):
    """(B, 3, H, W) -> (B, H/4 * W/4, C)."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)
        self.norm = nn.LayerNorm(width)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y: Tensor = self.norm(self.proj(x_BCHW).flatten(2).transpose(1, 2))
        return y
