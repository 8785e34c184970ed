"""Tiny picture pipelines around a transformer; see `tiny`."""

from __future__ import annotations

from typing import Any

import diffusers
import transformers

from tests.unit.generators.tiny_networks import FLOW, vae
from tests.unit.generators.tiny_text import (
    LETTERS,
    WIDTH,
    byte_tokenizer,
    clip_text,
    clip_tokenizer,
    t5_text,
    t5_tokenizer,
)


def stable_diffusion_3() -> dict[str, Any]:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=32,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
    )
    encoders = {f"text_encoder{s}": clip_text(transformers.CLIPTextModelWithProjection) for s in ("", "_2")}
    config = transformers.T5Config(
        vocab_size=8 + len(LETTERS), d_model=2 * WIDTH, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=2
    )
    return {
        "transformer": transformer,
        **encoders,
        "text_encoder_3": transformers.T5EncoderModel(config).eval(),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(),
        "tokenizer_3": t5_tokenizer(),
        "vae": vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
        "scheduler": FLOW(shift=3.0),
    }


def flux() -> dict[str, Any]:
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    return {
        "transformer": transformer,
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "text_encoder_2": t5_text(),
        "tokenizer_2": t5_tokenizer(),
        "vae": vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
        "scheduler": FLOW(use_dynamic_shifting=True),
    }


def z_image() -> dict[str, Any]:
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=16,
        dim=WIDTH,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    config = transformers.Qwen3Config(
        vocab_size=300,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
    )
    template = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
    return {
        "transformer": transformer,
        "text_encoder": transformers.Qwen3Model(config).eval(),
        "tokenizer": byte_tokenizer(template=template),
        "vae": vae(16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.36),
        "scheduler": FLOW(use_dynamic_shifting=True),
    }


def qwen_image() -> dict[str, Any]:
    transformer = diffusers.QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(8, 4, 4),
    )
    text = {
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 300,
        "max_position_embeddings": 2048,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 2, 2]},
        "rope_theta": 10000.0,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": WIDTH,
        "fullatt_block_indexes": [0],
        "patch_size": 14,
        "window_size": 112,
    }
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    latent = {"z_dim": 4, "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4}
    return {
        "transformer": transformer,
        "text_encoder": transformers.Qwen2_5_VLForConditionalGeneration(config).eval(),
        "tokenizer": byte_tokenizer(),
        "vae": diffusers.AutoencoderKLQwenImage(
            base_dim=8, dim_mult=[1, 1], num_res_blocks=1, temperal_downsample=[False], **latent
        ),
        "scheduler": FLOW(use_dynamic_shifting=True),
    }
