"""Rows of the catalog that make clips from text. How to read them: `catalog`."""

from __future__ import annotations

from functools import partial

from generators.rows import GeneratorRow, Range, Task
from subnet.types import Modality

_SMOOTH = "worst quality, inconsistent motion, blurry, jittery, distorted"

_video = partial(
    GeneratorRow, modality=Modality.VIDEO, task=Task.TEXT_TO_VIDEO, target="generators.adapter:load", dtype="bfloat16"
)

VIDEO_ROWS = (
    _video(
        name="mochi-1",
        repository="genmo/mochi-1-preview",
        revision="14be5fcea23095ed330cb214647916a451e38b6e",
        pipeline="MochiPipeline",
        family="mochi",
        variant="bf16",
        sizes=((480, 848),),
        frames=Range(61, 85),
        fps=30.0,
        ranges={"steps": Range(30, 64), "guidance": Range(3.5, 5.5)},
        options={"offload": "model", "tiling": True, "tokens": 256, "batch": 1, "frame_step": 6},
        vram_gb=24,
        disk_gb=31,
        licence="Apache-2.0",
    ),
    _video(
        name="cogvideox-5b",
        repository="THUDM/CogVideoX-5b",
        revision="8d6ea3f817438460b25595a120f109b88d5fdfad",
        pipeline="CogVideoXPipeline",
        family="cogvideox",
        sizes=((480, 720),),
        frames=Range(49, 49),
        fps=8.0,
        ranges={"steps": Range(40, 50), "guidance": Range(4.0, 7.0)},
        options={"offload": "model", "tiling": True, "tokens": 226, "batch": 1, "frame_step": 4},
        vram_gb=16,
        disk_gb=22,
        licence="CogVideoX",
        note="commercial use needs a registration with the makers",
    ),
    _video(
        name="cogvideox-2b",
        repository="THUDM/CogVideoX-2b",
        revision="1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01",
        pipeline="CogVideoXPipeline",
        family="cogvideox",
        dtype="float16",
        sizes=((480, 720),),
        frames=Range(49, 49),
        fps=8.0,
        ranges={"steps": Range(40, 50), "guidance": Range(5.0, 7.0)},
        options={"offload": "model", "tiling": True, "tokens": 226, "batch": 1, "frame_step": 4},
        vram_gb=12,
        disk_gb=14,
        licence="Apache-2.0",
    ),
    _video(
        name="animatediff-lightning",
        repository="emilianJR/epiCRealism",
        revision="6522cf856b8c8e14638a0aaa7bd89b1b098aed17",
        pipeline="AnimateDiffPipeline",
        family="animatediff",
        dtype="float16",
        scheduler="EulerDiscreteScheduler",
        sizes=((512, 512), (512, 768), (768, 512)),
        frames=Range(16, 16),
        fps=8.0,
        ranges={"steps": Range(4, 4), "guidance": Range(1.0, 2.0)},
        parts={
            "motion_adapter": "ByteDance/AnimateDiff-Lightning@027c893eec01df7330f5d4b733bc9485ee02e8b2"
            ":animatediff_lightning_4step_diffusers.safetensors"
        },
        options={
            "tokens": 77,
            "batch": 1,
            "tiling": True,
            "scheduler": {"timestep_spacing": "trailing", "beta_schedule": "linear"},
        },
        vram_gb=12,
        disk_gb=7,
        licence="CreativeML Open RAIL-M",
        note="a motion adapter distilled to four steps, on a photographic Stable Diffusion 1.5",
    ),
    _video(
        name="wan22-5b",
        repository="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        revision="b8fff7315c768468a5333511427288870b2e9635",
        pipeline="WanPipeline",
        family="wan",
        sizes=((704, 1280), (1280, 704)),
        frames=Range(49, 121),
        fps=24.0,
        ranges={"steps": Range(30, 50), "guidance": Range(4.0, 6.0)},
        options={
            "offload": "model",
            "tiling": True,
            "tokens": 512,
            "batch": 1,
            "frame_step": 4,
            "negative": _SMOOTH,
            "dtypes": {"vae": "float32"},
        },
        vram_gb=24,
        disk_gb=34,
        licence="Apache-2.0",
    ),
    _video(
        name="ltx-video",
        repository="Lightricks/LTX-Video",
        revision="8984fa25007f376c1a299016d0957a37a2f797bb",
        pipeline="LTXPipeline",
        family="ltx",
        sizes=((480, 704), (512, 768)),
        frames=Range(65, 161),
        fps=24.0,
        ranges={"steps": Range(30, 50), "guidance": Range(2.5, 4.0)},
        options={
            "offload": "model",
            "tiling": True,
            "tokens": 128,
            "batch": 1,
            "frame_step": 8,
            "negative": _SMOOTH,
            "rate_argument": "frame_rate",
        },
        vram_gb=16,
        disk_gb=28,
        licence="LTX-Video Open Weights",
        note="read the licence: limits by revenue differ between releases",
    ),
    _video(
        name="hunyuan-video",
        repository="hunyuanvideo-community/HunyuanVideo",
        revision="e8c2aaa66fe3742a32c11a6766aecbf07c56e773",
        pipeline="HunyuanVideoPipeline",
        family="hunyuan-video",
        dtype="float16",
        sizes=((544, 960), (720, 1280), (720, 720)),
        frames=Range(61, 129),
        fps=24.0,
        ranges={"steps": Range(30, 50), "guidance": Range(5.0, 7.0)},
        parts={
            "transformer": "hunyuanvideo-community/HunyuanVideo@e8c2aaa66fe3742a32c11a6766aecbf07c56e773:transformer"
        },
        options={
            "offload": "model",
            "tiling": True,
            "tokens": 256,
            "batch": 1,
            "frame_step": 4,
            "dtypes": {"transformer": "bfloat16"},
        },
        vram_gb=48,
        disk_gb=42,
        licence="Tencent Hunyuan Community",
        note="the licence does not cover the European Union, the United Kingdom and South Korea",
    ),
)
