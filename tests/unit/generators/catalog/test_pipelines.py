"""Loading a pipeline by its row: adapters, low-rank weights, components from elsewhere, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generators.catalog import CATALOG, adapter, pipelines
from subnet.errors import GenerationError, SettingsError
from tests.unit.generators import tiny, tiny_networks, tiny_video

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
PROMPTS = ["a red kite over the sea"]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_low_rank_weights_are_fused(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """A row with `lora` gives other pictures than without, and no adapter layer is left in the network."""
    from diffusers import StableDiffusionXLPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(1)
    network = StableDiffusionXLPipeline.from_pretrained(tiny_folder("StableDiffusionXLPipeline")).unet
    network.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    StableDiffusionXLPipeline.save_lora_weights(tmp_path, get_peft_model_state_dict(network))
    name = "sdxl-lightning"
    row = tiny.shrunk(CATALOG[name], tiny_folder("StableDiffusionXLPipeline"))
    with_lora = replace(row, parts={"lora": f"{tmp_path}:pytorch_lora_weights.safetensors"})
    pipeline = pipelines.open_pipeline(with_lora, "cpu")
    assert not any("lora" in key for key in pipeline.unet.state_dict())
    fused = adapter.DiffusionGenerator(with_lora, pipeline).generate(PROMPTS[:1], rng())[0]
    plain = adapter.load_pipeline(row).generate(PROMPTS[:1], rng())[0]
    assert not np.array_equal(fused.media.frames, plain.media.frames)
    assert fused.provenance.parameters["parts"] == dict(with_lora.parts)


def test_a_motion_adapter_may_be_a_bare_file(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """Weights without a configuration, as AnimateDiff-Lightning ships them, are put into the pipeline."""
    from safetensors.torch import save_file

    torch.manual_seed(2)
    motion = tiny_video.motion_adapter()
    save_file(motion.state_dict(), tmp_path / "motion.safetensors")
    row = tiny.shrunk(CATALOG["animatediff-lightning"], tiny_folder("StableDiffusionPipeline"))
    row = replace(
        row,
        parts={"motion_adapter": f"{tmp_path}:motion.safetensors"},
        options={**row.options, "motion_config": json.loads(json.dumps(tiny_video.MOTION))},
    )
    pipeline = pipelines.open_pipeline(row, "cpu")
    wanted = motion.state_dict()
    key = next(key for key in wanted if key.endswith("proj_in.weight"))
    assert torch.equal(pipeline.unet.state_dict()[key], wanted[key])
    clip = adapter.DiffusionGenerator(row, pipeline).generate(PROMPTS[:1], rng())[0]
    assert clip.media.frames.shape == (9, 256, 256, 3)


def test_a_component_may_come_from_elsewhere(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """A role that is a component takes its place, from a folder inside another repository."""
    torch.manual_seed(3)
    other = tiny_networks.unet()
    other.save_pretrained(tmp_path / "unet")
    row = tiny.shrunk(CATALOG["openjourney-v4"], tiny_folder("StableDiffusionPipeline"))
    pipeline = pipelines.open_pipeline(replace(row, parts={"unet": f"{tmp_path}:unet"}), "cpu")
    assert torch.equal(pipeline.unet.conv_in.weight, other.conv_in.weight)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"pipeline": "WarpDrivePipeline"}, SettingsError, "no pipeline 'WarpDrivePipeline'"),
        ({"repository": "nobody/nothing"}, GenerationError, "nobody/nothing does not load"),
        ({"parts": {"unet": "nobody/nothing:unet.safetensors"}}, SettingsError, "folder of its repository"),
        ({"vram_gb": 24.0}, SettingsError, "needs a GPU with 24 GB"),
        ({"repository": "nobody/nothing", "gated": True}, SettingsError, "gated: accept its terms"),
        ({"repository": "nobody/nothing", "disk_gb": 1e9}, SettingsError, "GB of disk"),
    ],
)
def test_what_cannot_be_loaded_is_explained(
    change: dict[str, Any], error: type[Exception], words: str, tiny_folder: Callable[[str], Path]
) -> None:
    """No traceback of a library: the row, what is wrong and what to do."""
    row = tiny.shrunk(CATALOG["openjourney-v4"], tiny_folder("StableDiffusionPipeline"), **change)
    with pytest.raises(error, match=words):
        adapter.load_pipeline(row)


def test_a_broken_folder_is_explained(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """A folder that holds no pipeline: GenerationError with the row's name."""
    row = tiny.shrunk(CATALOG["openjourney-v4"], tmp_path)
    with pytest.raises(GenerationError, match="openjourney-v4"):
        adapter.load_pipeline(row)


@pytest.mark.gpu
@pytest.mark.parametrize("placement", list(pipelines.Placement))
def test_every_placement_works_on_a_card(placement: pipelines.Placement, tiny_folder: Callable[[str], Path]) -> None:
    """Wholly on the card, by component and by layer: a usable picture, and none of its memory left after close."""
    row = tiny.shrunk(CATALOG["sdxl"], tiny_folder("StableDiffusionXLPipeline"), options={"offload": placement.value})
    generator = adapter.load_pipeline(row, device="cuda")
    assert generator.plan.placement is placement
    assert len(generator.generate(PROMPTS, rng())) == 1
    generator.close()
    assert torch.cuda.memory_allocated() < 2**26
