"""The two networks that the older pipelines share, tiny; see `tiny`."""

from __future__ import annotations

from typing import Any

import diffusers

from tests.unit.generators.tiny_text import WIDTH

FLOW = diffusers.FlowMatchEulerDiscreteScheduler


def vae(latents: int = 4, **changes: Any) -> Any:
    """Like Stable Diffusion's, but one step down instead of three: a factor of 2."""
    settings: dict[str, Any] = {
        "block_out_channels": (8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": latents,
        "norm_num_groups": 4,
        "sample_size": 64,
        **changes,
    }
    return diffusers.AutoencoderKL(**settings)


def unet(channels: int = 4, cross: int = WIDTH, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "sample_size": 32,
        "in_channels": channels,
        "out_channels": 4,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": cross,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
        **changes,
    }
    return diffusers.UNet2DConditionModel(**settings)
