"""The adapter over every row of the catalog, each with a tiny pipeline of its own class."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generators.catalog import CATALOG, adapter, pipelines
from generators.catalog.masks import from_json, render
from generators.catalog.pipelines import Attempt, Placement, smaller
from generators.rows import Range, Task
from subnet.errors import GenerationError, SettingsError
from subnet.types import Label, Modality
from tests.unit.generators import tiny, tiny_video

pytestmark = [
    # diffusers 0.42 hands tensors to numpy 2 in the ways of numpy 1
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context and return_scalar:DeprecationWarning"),
    # Mochi asks for float32 autocast, which a CPU has no need of
    pytest.mark.filterwarnings("ignore:In CPU autocast, but the target dtype is not supported:UserWarning"),
]
Make = Callable[..., adapter.DiffusionGenerator]
PROMPTS = ["a red kite over the sea", "two old boats on a beach"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", CATALOG)
def test_every_row_gives_samples_with_their_whole_history(name: str, tiny_generator: Make) -> None:
    """Right size, label, modality and rate; provenance that says how to make it again, and survives JSON."""
    row = CATALOG[name]
    with tiny_generator(name) as generator:
        samples = generator.generate(PROMPTS, rng())
    assert len(samples) == 2
    for sample, prompt in zip(samples, PROMPTS, strict=True):
        assert sample.label is Label.SYNTHETIC
        assert sample.modality is row.modality
        assert sample.media.frames.shape[1:] == (256, 256, 3)
        assert sample.media.fps == row.fps
        history = sample.provenance
        assert (history.model, history.prompt) == (name, prompt)
        assert history.seed is not None
        assert row.licence in history.licence
        known = {"pipeline", "repository", "revision", "scheduler", "dtype", "steps", "height", "width"}
        assert known <= set(history.parameters)
        assert history.parameters.get("guidance") is not None
        if row.scheduler is not None:
            assert history.parameters["scheduler"] == row.scheduler
        assert json.loads(json.dumps(dict(history.parameters))) == dict(history.parameters)
    assert not np.array_equal(samples[0].media.frames, samples[1].media.frames)


def test_every_class_of_the_catalog_has_a_tiny_pipeline() -> None:
    """No row is left out of the test above for want of a builder."""
    assert {row.pipeline for row in CATALOG.values()} <= set(tiny.IMAGES) | set(tiny_video.VIDEOS)


@pytest.mark.parametrize("name", ["sdxl", "ltx-video", "sdxl-inpainting"])
def test_the_same_randomness_gives_the_same_sample(name: str, tiny_generator: Make) -> None:
    """Two loads and one seed: equal pixels and history. Another seed: another picture."""
    first, again = (tiny_generator(name).generate(PROMPTS[:1], rng(3))[0] for _ in range(2))
    other = tiny_generator(name).generate(PROMPTS[:1], rng(4))[0]
    assert np.array_equal(first.media.frames, again.media.frames)
    assert first.provenance == again.provenance
    assert not np.array_equal(first.media.frames, other.media.frames)


def test_a_clip_is_sixteen_frames_of_what_was_made(tiny_generator: Make) -> None:
    """A longer clip is cut to 16 successive frames; provenance keeps the length the model made."""
    sample = tiny_generator("ltx-video", frames=Range(25, 25)).generate(PROMPTS[:1], rng())[0]
    assert sample.media.frames.shape == (16, 256, 256, 3)
    assert sample.provenance.parameters["frames"] == 25
    assert sample.modality is Modality.VIDEO


def test_a_long_prompt_is_cut_and_an_empty_one_refused(tiny_generator: Make) -> None:
    """What goes in fits the tokenizer and says that it was cut; an empty prompt is named by its place."""
    generator = tiny_generator("sdxl")
    sample = generator.generate(["word " * 60], rng())[0]
    assert sample.provenance.parameters["prompt_cut"] is True
    assert sample.provenance.prompt is not None
    assert 40 < len(sample.provenance.prompt) < 100
    with pytest.raises(SettingsError, match="prompt 1 is empty"):
        generator.generate(["a boat", "  "], rng())
    assert generator.generate([], rng()) == []


def test_inpainting_keeps_the_mask_and_the_picture_it_changed(tiny_generator: Make) -> None:
    """The base is named with its licence; composited, the picture outside the mask is the real one bit for bit."""
    generator = tiny_generator("sdxl-inpainting", options={**CATALOG["sdxl-inpainting"].options, "composite": 1.0})
    sample = generator.generate(PROMPTS[:1], rng(1))[0]
    assert sample.provenance.source == "noise"
    assert sample.provenance.licence.startswith("CC0-1.0; ")
    mask = sample.provenance.parameters["mask"]
    assert isinstance(mask, dict)
    outside = render(from_json(mask), 256, 256) == 0
    plain = tiny_generator("sdxl-inpainting", options={"batch": 1, "composite": 0.0}).generate(PROMPTS[:1], rng(1))[0]
    assert plain.provenance.item == sample.provenance.item
    changed = (plain.media.frames[0] != sample.media.frames[0]).any(axis=-1)
    assert changed[outside].mean() > 0.9
    assert not changed[render(from_json(mask), 256, 256) == 1].any()


def test_inpainting_without_pictures_is_refused() -> None:
    """A row that changes real pictures says so when it is given none."""
    with pytest.raises(SettingsError, match="give it a source"):
        adapter.load_pipeline(CATALOG["sdxl-inpainting"])


def test_a_picture_may_be_changed_without_a_mask(tiny_folder: Callable[[str], Path]) -> None:
    """An image-to-image pipeline takes the whole real picture, at the row's size, and a strength."""
    from tests.unit.generators.conftest import Noise

    row = replace(
        tiny.shrunk(CATALOG["openjourney-v4"], tiny_folder("StableDiffusionImg2ImgPipeline")),
        task=Task.IMAGE_TO_IMAGE,
        pipeline="StableDiffusionImg2ImgPipeline",
        ranges={"steps": Range(4, 4), "strength": Range(0.5, 0.5), "guidance": Range(3.0, 3.0)},
    )
    sample = adapter.load_pipeline(row, reals=Noise()).generate(PROMPTS[:1], rng())[0]
    assert sample.provenance.source == "noise"
    assert sample.provenance.parameters["strength"] == 0.5
    assert "mask" not in sample.provenance.parameters


def opened(tiny_folder: Callable[[str], Path], **changes: Any) -> tuple[adapter.DiffusionGenerator, Any]:
    """A generator together with the pipeline inside it."""
    row = tiny.shrunk(CATALOG["openjourney-v4"], tiny_folder("StableDiffusionPipeline"), **changes)
    pipeline = pipelines.open_pipeline(row, "cpu")
    return adapter.DiffusionGenerator(row, pipeline), pipeline


@pytest.mark.parametrize(("fill", "reason"), [(float("nan"), "NaN"), (-9.0, "black"), (0.0, "one colour")])
def test_what_cannot_be_used_is_thrown_away_and_counted(
    fill: float, reason: str, tiny_folder: Callable[[str], Path]
) -> None:
    """NaN, black and flat pictures never come out: after three tries the error names them."""
    generator, pipeline = opened(tiny_folder)
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.weight.zero_()
        pipeline.vae.decoder.conv_out.bias.fill_(fill)
    with pytest.raises(GenerationError, match=reason):
        generator.generate(PROMPTS, rng())
    assert sum(generator.discarded.values()) == 2 * adapter.TRIES


def test_one_bad_picture_is_made_again(tiny_folder: Callable[[str], Path]) -> None:
    """Only the picture that was bad gets a new seed; its neighbour stays as it was."""
    generator, pipeline = opened(tiny_folder)
    good = generator.generate(PROMPTS, rng())
    calls = []

    def spoil(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        calls.append(len(output))
        if len(calls) == 1:
            output[0] = float("nan")
        return output

    pipeline.vae.decoder.register_forward_hook(spoil)
    mended = generator.generate(PROMPTS, rng())
    assert generator.discarded == {"NaN": 1}
    assert calls == [2, 1]
    assert np.array_equal(mended[1].media.frames, good[1].media.frames)
    assert mended[0].provenance.seed != good[0].provenance.seed


def test_memory_that_runs_out_halves_the_batch(tiny_folder: Callable[[str], Path]) -> None:
    """A batch of four that does not fit becomes four of one, the samples unchanged."""
    options = {"batch": 4}
    prompts = [f"{number} boats" for number in range(4)]
    whole, _ = opened(tiny_folder, options=options)
    generator, pipeline = opened(tiny_folder, options=options)

    def small(_module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 2:  # guidance doubles the batch: only one prompt fits
            raise torch.OutOfMemoryError("no more memory")

    pipeline.unet.register_forward_pre_hook(small)
    samples = generator.generate(prompts, rng())
    assert generator.plan == Attempt(Placement.DEVICE, 1)
    assert generator.discarded["out of memory"] == 2
    for sample, wanted in zip(samples, whole.generate(prompts, rng()), strict=True):
        assert sample.provenance == wanted.provenance
        assert np.abs(sample.media.frames.astype(int) - wanted.media.frames).max() <= 1


def test_memory_that_is_never_enough_is_an_error(tiny_folder: Callable[[str], Path]) -> None:
    """When the smallest plan does not fit either, the error says so."""
    generator, pipeline = opened(tiny_folder)

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("no more memory")

    pipeline.unet.register_forward_pre_hook(full)
    with pytest.raises(GenerationError, match="does not fit into memory"):
        generator.generate(PROMPTS, rng())


def test_plans_shrink_in_order() -> None:
    """With a card: offload by component, halve, offload by layer; then nothing is left."""
    plan: Attempt | None = Attempt(Placement.DEVICE, 4)
    seen = []
    while plan is not None:
        seen.append((plan.placement.value, plan.batch))
        plan = smaller(plan, "cuda")
    assert seen == [("device", 4), ("model", 4), ("model", 2), ("model", 1), ("sequential", 1)]


def test_a_generator_can_be_stopped_between_steps(tiny_folder: Callable[[str], Path]) -> None:
    """Set from elsewhere, the event ends the call at the next step; cleared, the generator works again."""
    generator, pipeline = opened(tiny_folder, ranges={"steps": Range(8, 8)})
    steps = []

    def watch(*_: Any) -> None:
        steps.append(1)
        if len(steps) == 3:
            threading.Thread(target=generator.stop.set).start()
            generator.stop.wait(5)

    pipeline.unet.register_forward_pre_hook(watch)
    with pytest.raises(adapter.Stopped, match="step 3"):
        generator.generate(PROMPTS, rng())
    assert len(steps) == 3
    generator.stop.clear()
    assert len(generator.generate(PROMPTS[:1], rng())) == 1


def test_closing_frees_the_weights(tiny_folder: Callable[[str], Path]) -> None:
    """After close nothing holds the network, and a further call says why it fails."""
    generator, pipeline = opened(tiny_folder)
    network = weakref.ref(pipeline.unet)
    del pipeline
    generator.close()
    gc.collect()
    assert network() is None
    with pytest.raises(GenerationError, match="closed"):
        generator.generate(PROMPTS, rng())
