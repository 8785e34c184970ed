"""The catalog, the arguments drawn from it, and what a machine must offer to run it."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.capability import Machine, listing, obstacle, probe, require, tier
from generators.catalog import CATALOG, pipelines
from generators.catalog.arguments import arguments, batch_size, clip_length, draw_call, fit
from generators.rows import GeneratorRow, Range, Task
from subnet.errors import SettingsError
from subnet.types import Modality

TEN = {
    "stabilityai/stable-diffusion-xl-base-1.0": "t2i",
    "SG161222/RealVisXL_V4.0": "t2i",
    "Corcelio/mobius": "t2i",
    "black-forest-labs/FLUX.1-dev": "t2i",
    "prompthero/openjourney-v4": "t2i",
    "cagliostrolab/animagine-xl-3.1": "t2i",
    "genmo/mochi-1-preview": "t2v",
    "THUDM/CogVideoX-5b": "t2v",
    "ByteDance/AnimateDiff-Lightning": "t2v",
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": "i2i",
}
BIG = Machine(gpus=(80.0,), ram_gb=512, disk_gb=2000, token=True, cache=Path("/nowhere"))
ROWS = [pytest.param(row, id=row.name) for row in CATALOG.values()]


def test_the_ten_models_of_the_design_are_in_the_catalog() -> None:
    """Each of the ten repositories is a row, or a part of one, with the task the design gives it."""
    seen = {row.repository: row.task.value for row in CATALOG.values()}
    for row in CATALOG.values():
        seen |= {pipelines.parse_part(text).repository: row.task.value for text in row.parts.values()}
    assert {name: seen.get(name) for name in TEN} == TEN


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_complete(row: GeneratorRow) -> None:
    """A commit (or "main", said in the note), a licence, memory and disk, and ranges that can be drawn from."""
    assert re.fullmatch(r"[0-9a-f]{40}", row.revision) or (row.revision == "main" and "unpinned" in row.note)
    for text in row.parts.values():
        assert re.fullmatch(r"[0-9a-f]{40}", pipelines.parse_part(text).revision or "")
    assert row.licence not in {"", "unknown"}
    assert row.vram_gb > 0
    assert row.disk_gb > 0
    assert row.family
    assert "steps" in row.ranges
    assert not row.embedded
    assert all(side % 16 == 0 for size in row.sizes for side in size)
    assert (row.modality is Modality.VIDEO) == (row.task is Task.TEXT_TO_VIDEO) == (row.frames is not None)
    assert (row.fps is not None) == (row.modality is Modality.VIDEO)


@pytest.mark.parametrize("row", ROWS)
def test_every_drawn_argument_is_one_the_pipeline_takes(row: GeneratorRow) -> None:
    """The class exists in the installed diffusers, takes what the row draws, and its clip lengths are legal."""
    kind = pipelines.pipeline_class(row.pipeline)
    accepted = inspect.signature(kind.__call__).parameters
    for seed in range(5):
        call = draw_call(row, np.random.default_rng(seed))
        given = arguments(row, call, accepted)
        assert set(given) <= set(accepted)
        assert (call.height, call.width) in row.sizes
    assert {"prompt", "generator", "output_type", "callback_on_step_end"} <= set(accepted)
    assert batch_size(row) >= 1
    if row.scheduler is not None:
        assert hasattr(pipelines.pipeline_class(row.scheduler), "from_config")


def test_an_argument_the_pipeline_does_not_know_is_named() -> None:
    """A row that draws what its pipeline cannot take is refused with the argument's name, before any work."""
    row = replace(CATALOG["flux-schnell"], options={"call": {"colour": 1}})
    call = draw_call(row, np.random.default_rng(0))
    with pytest.raises(SettingsError, match="colour"):
        arguments(row, call, {"num_inference_steps": 0, "height": 0, "width": 0, "guidance_scale": 0})


@given(st.integers(1, 60), st.integers(0, 100), st.integers(1, 12), st.integers(0, 2**32))
def test_clip_lengths_are_legal(low: int, spread: int, step: int, seed: int) -> None:
    """A drawn length is low + n * step and inside the range."""
    length = clip_length(Range(low, low + spread), step, np.random.default_rng(seed))
    assert low <= length <= low + spread
    assert (length - low) % step == 0


@given(st.text(alphabet="ab c", max_size=40), st.integers(0, 20))
def test_fit_is_the_longest_start_that_fits(text: str, limit: int) -> None:
    """The cut text fits, is a start of the text, and one word more would not fit."""
    short = fit(text, len, limit)
    words = text.split()
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
    elif " ".join(words[: len(short.split())]) == short:
        assert len(" ".join(words[: len(short.split()) + 1])) > limit or len(short.split()) == len(words)
    else:
        assert words[0].startswith(short)
        assert len(short) == limit


def test_machines_are_told_what_they_lack() -> None:
    """GPU, its memory, host memory, a gate and the disk are each named; a big machine runs everything."""
    flux = CATALOG["flux-dev"]
    assert [obstacle(row, BIG) for row in CATALOG.values()] == [""] * len(CATALOG)
    assert "has none" in obstacle(flux, replace(BIG, gpus=()))
    assert "CPU was asked for" in obstacle(flux, BIG, "cpu")
    assert "32 GB" in obstacle(flux, replace(BIG, gpus=(24.0,)))
    assert "offload" in obstacle(flux, replace(BIG, ram_gb=16))
    assert "https://huggingface.co/black-forest-labs/FLUX.1-dev" in obstacle(flux, replace(BIG, token=False))
    assert "34 GB of disk" in obstacle(flux, replace(BIG, disk_gb=5))
    with pytest.raises(SettingsError, match="flux-dev"):
        require(flux, replace(BIG, token=False), "cuda")


def test_tiers_go_from_the_cpu_to_the_largest_cards() -> None:
    """Every catalog row has a tier that people can buy, and rows without a GPU are of the tier cpu."""
    tiers = {tier(row) for row in CATALOG.values()}
    assert tiers == {"12", "24", "48", "80"}
    assert tier(replace(CATALOG["sdxl"], vram_gb=0)) == "cpu"


def test_the_listing_has_the_fields_of_the_program(tmp_path: Path) -> None:
    """Rows in order with the agreed fields; on this machine a reason stands wherever a row cannot run."""
    lines = [line.to_json() for line in listing(CATALOG.values(), probe(tmp_path / "not" / "yet", token=False))]
    assert [line["name"] for line in lines] == list(CATALOG)
    wanted = {"name", "repository", "revision", "task", "pipeline", "licence", "vram_gb", "runnable_here", "reason"}
    for line in lines:
        assert wanted <= set(line)
        assert line["runnable_here"] == (line["reason"] == "")


def test_a_folder_on_disk_needs_neither_token_nor_room(tmp_path: Path) -> None:
    """A row whose repository is a folder is runnable where its memory suffices."""
    row = replace(CATALOG["flux-dev"], repository=str(tmp_path))
    assert obstacle(row, replace(BIG, token=False, disk_gb=0)) == ""
