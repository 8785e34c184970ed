"""Tiny pipelines of the catalog's video classes; see `tiny`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import transformers

from tests.unit.generators import tiny_networks, tiny_text
from tests.unit.generators.tiny_networks import FLOW
from tests.unit.generators.tiny_text import WIDTH


def animatediff() -> dict[str, Any]:
    return {
        "vae": tiny_networks.vae(),
        "unet": tiny_networks.unet(),
        "text_encoder": tiny_text.clip_text(),
        "tokenizer": tiny_text.clip_tokenizer(),
        "scheduler": diffusers.DDIMScheduler(beta_schedule="linear", clip_sample=False, steps_offset=1),
        "motion_adapter": motion_adapter(),
    }


MOTION = {
    "block_out_channels": (8, 16),
    "motion_layers_per_block": 1,
    "motion_num_attention_heads": 2,
    "motion_norm_num_groups": 4,
    "use_motion_mid_block": False,
}


def motion_adapter() -> Any:
    return diffusers.MotionAdapter(**MOTION)


def cogvideox() -> dict[str, Any]:
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=WIDTH,
        num_layers=1,
        sample_width=16,
        sample_height=16,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=226,
    )
    vae = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    return {
        "tokenizer": tiny_text.t5_tokenizer(226),
        "text_encoder": tiny_text.t5_text(),
        "vae": vae,
        "transformer": transformer,
        "scheduler": diffusers.CogVideoXDDIMScheduler(),
    }


def mochi() -> dict[str, Any]:
    transformer = diffusers.MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        pooled_projection_dim=16,
        in_channels=12,
        text_embed_dim=WIDTH,
        time_embed_dim=4,
    )
    vae = diffusers.AutoencoderKLMochi(
        latent_channels=12,
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    )
    return {
        "transformer": transformer,
        "vae": vae,
        "text_encoder": tiny_text.t5_text(),
        "tokenizer": tiny_text.t5_tokenizer(256),
        "scheduler": FLOW(),
    }


def _wan_transformer() -> Any:
    return diffusers.WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=WIDTH,
        freq_dim=32,
        ffn_dim=16,
        num_layers=1,
        rope_max_seq_len=64,
    )


def wan() -> dict[str, Any]:
    vae = diffusers.AutoencoderKLWan(
        base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4
    )
    return {
        "tokenizer": tiny_text.t5_tokenizer(),
        "text_encoder": tiny_text.t5_text(transformers.UMT5EncoderModel, transformers.UMT5Config),
        "vae": vae,
        "scheduler": diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True),
        "transformer": _wan_transformer(),
        "transformer_2": None,
        "expand_timesteps": True,
    }


def wan_two() -> dict[str, Any]:
    """The large Wan 2.2: a second transformer takes over below a noise level."""
    return {**wan(), "transformer_2": _wan_transformer(), "boundary_ratio": 0.875, "expand_timesteps": False}


def ltx() -> dict[str, Any]:
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=1,
        caption_channels=WIDTH,
    )
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
    )
    return {
        "scheduler": FLOW(use_dynamic_shifting=True),
        "vae": vae,
        "text_encoder": tiny_text.t5_text(),
        "tokenizer": tiny_text.t5_tokenizer(128),
        "transformer": transformer,
    }


def hunyuan() -> dict[str, Any]:
    transformer = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=1,
        text_embed_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        rope_axes_dim=(2, 4, 4),
    )
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )
    config = transformers.LlamaConfig(
        vocab_size=300,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=2,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
    )
    return {
        "text_encoder": transformers.LlamaModel(config).eval(),
        "tokenizer": tiny_text.byte_tokenizer(),
        "transformer": transformer,
        "vae": vae,
        "scheduler": FLOW(shift=7.0),
        "text_encoder_2": tiny_text.clip_text(),
        "tokenizer_2": tiny_text.clip_tokenizer(),
    }


VIDEOS: dict[str, Callable[[], dict[str, Any]]] = {
    "AnimateDiffPipeline": animatediff,
    "CogVideoXPipeline": cogvideox,
    "HunyuanVideoPipeline": hunyuan,
    "LTXPipeline": ltx,
    "MochiPipeline": mochi,
    "WanPipeline": wan,
    "WanPipeline:two": wan_two,
}
