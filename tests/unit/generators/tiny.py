"""Pipelines of the catalog's classes with a few thousand random weights each, saved to disk as the hub lays them out.

They paint noise. What they prove is that the adapter loads, calls and reads every class the way the class wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from generators.rows import GeneratorRow, Range
from tests.unit.generators.tiny_networks import unet, vae
from tests.unit.generators.tiny_text import WIDTH, clip_text, clip_tokenizer
from tests.unit.generators.tiny_transformers import flux, qwen_image, stable_diffusion_3, z_image
from tests.unit.generators.tiny_video import VIDEOS


def _ddim() -> Any:
    return diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1)


def stable_diffusion(channels: int = 4) -> dict[str, Any]:
    return {
        "vae": vae(),
        "unet": unet(channels),
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "scheduler": _ddim(),
        "safety_checker": None,
        "feature_extractor": None,
        "image_encoder": None,
        "requires_safety_checker": False,
    }


def stable_diffusion_xl(channels: int = 4) -> dict[str, Any]:
    conditions = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + WIDTH,
        "transformer_layers_per_block": 1,
        "use_linear_projection": True,
    }
    return {
        "vae": vae(),
        "unet": unet(channels, 2 * WIDTH, **conditions),
        "text_encoder": clip_text(),
        "text_encoder_2": clip_text(transformers.CLIPTextModelWithProjection),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(),
        "scheduler": diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear"),
    }


IMAGES: dict[str, Callable[[], dict[str, Any]]] = {
    "StableDiffusionPipeline": stable_diffusion,
    "StableDiffusionImg2ImgPipeline": stable_diffusion,
    "StableDiffusionInpaintPipeline": lambda: stable_diffusion(9),
    "StableDiffusionXLPipeline": stable_diffusion_xl,
    "StableDiffusionXLInpaintPipeline": lambda: stable_diffusion_xl(9),
    "StableDiffusion3Pipeline": stable_diffusion_3,
    "FluxPipeline": flux,
    "ZImagePipeline": z_image,
    "QwenImagePipeline": qwen_image,
}


def shrunk(row: GeneratorRow, folder: Path, **changes: Any) -> GeneratorRow:
    """The row as it stands in the catalog, but for a tiny pipeline at `folder`: small, short, and for a CPU."""
    frames = None
    if row.frames is not None:
        step = row.options.get("frame_step", 1)
        frames = Range(9, 9) if not isinstance(step, int) or 8 % step == 0 else Range(step + 1, step + 1)
    ranges = {**row.ranges, "steps": Range(3, 3)}
    if "strength" in ranges:
        ranges["strength"] = Range(0.9, 0.9)
    small: dict[str, Any] = {
        "repository": str(folder),
        "vram_gb": 0.0,
        "gated": False,
        "variant": None,
        "sizes": ((64, 64),),
        "frames": frames,
        "ranges": ranges,
        "parts": {},
    }
    return replace(row, **{**small, **changes})


def kind(row: GeneratorRow) -> str:
    """The key of the builder for a row: its class, and which variant of it."""
    call = row.options.get("call")
    return f"{row.pipeline}:two" if isinstance(call, dict) and "guidance_scale_2" in call else row.pipeline


def build(name: str, folder: Path) -> Path:
    """Save a tiny pipeline of the kind `name` under `folder`, the same weights every time."""
    torch.manual_seed(0)
    components = {**IMAGES, **VIDEOS}[name]()
    getattr(diffusers, name.partition(":")[0])(**components).save_pretrained(folder)
    return folder
