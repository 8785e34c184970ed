"""One adapter for every row of the catalog: prompts and randomness in, samples with full provenance out.

What differs between models is data in their rows; what is the same is here: arguments are drawn, prompts are cut to
the tokenizer, memory that runs out shrinks the plan, what comes out is checked, cropped and scaled like a real item.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from generators import capability
from generators.catalog import pipelines
from generators.catalog.arguments import Call, arguments, batch_size, draw_call, fit
from generators.catalog.jobs import Job, again, finish, pictures
from generators.catalog.masks import draw_mask
from generators.catalog.pipelines import Attempt, Placement
from generators.library_errors import typed_errors
from generators.rows import GeneratorRow, Task
from subnet.errors import GenerationError, SettingsError
from subnet.media.pool.producer import flaw
from subnet.protocols import Source
from subnet.types import JSON, Label, Media, Modality, Provenance, Sample

TRIES = 3  # of one prompt, each with a new seed, before the call gives up
Images = NDArray[np.floating[Any]]


class Stopped(GenerationError):
    """The generator was told to stop before it was done."""


def load_pipeline(
    row: GeneratorRow,
    *,
    device: str = "cpu",
    reals: Source | None = None,
    cache: Path | None = None,
    token: str | None = None,
    stop: threading.Event | None = None,
) -> DiffusionGenerator:
    """The generator of `row`, its weights read (and fetched first where they are missing).

    `reals` gives the pictures that an in-painting row changes. Raises SettingsError when this machine cannot run the
    row (no GPU, too little memory or disk, a gate without a token), GenerationError when the files do not load.
    """
    if row.task is Task.IMAGE_TO_IMAGE and reals is None:
        raise SettingsError(f"generator {row.name!r} changes real pictures: give it a source of them")
    capability.require(row, capability.probe(cache, token=token is not None or None), device)
    pipeline = pipelines.open_pipeline(row, device, token=token, cache=cache)
    return DiffusionGenerator(row, pipeline, device=device, reals=reals, stop=stop)


class DiffusionGenerator:
    """A `Generator` over a diffusers pipeline. `discarded` counts, by reason, what came out and was not good enough."""

    def __init__(
        self,
        row: GeneratorRow,
        pipeline: Any,
        *,
        device: str = "cpu",
        reals: Source | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.name, self.modality, self.row = row.name, row.modality, row
        self.discarded: Counter[str] = Counter()
        self.stop = stop or threading.Event()
        self.plan = Attempt(Placement(str(row.options.get("offload", Placement.DEVICE))), batch_size(row))
        if torch.device(device).type == "cpu":
            self.plan = replace(self.plan, placement=Placement.DEVICE)
        self._device, self._reals = device, reals
        self._accepted = inspect.signature(type(pipeline).__call__).parameters
        self._pipeline: Any = pipeline
        self._placed = False

    def generate(self, prompts: Sequence[str], rng: np.random.Generator) -> list[Sample]:
        """One sample of 256x256 per prompt, label synthetic; clips have 16 frames at the model's rate.

        Steps, guidance and size are drawn once per call, a seed per prompt. A result with NaN, or black, or of one
        colour, is thrown away and made again with another seed. Raises SettingsError for an empty prompt, Stopped
        when `stop` was set, GenerationError when nothing usable came out.
        """
        if self._pipeline is None:
            raise GenerationError(f"generator {self.name!r} was closed")
        for index, prompt in enumerate(prompts):
            if not prompt.strip():
                raise SettingsError(f"prompt {index} is empty; say what is to be seen")
        call = draw_call(self.row, rng)
        with typed_errors(f"generator {self.name!r}"):
            jobs = [self._job(prompt, rng) for prompt in prompts]
        done: dict[int, Sample] = {}
        waiting = dict(enumerate(jobs))
        for _ in range(TRIES):
            with typed_errors(f"generator {self.name!r}"):
                results = list(zip(waiting, self._run(list(waiting.values()), call), strict=True))
            done |= {index: sample for index, sample in results if sample is not None}
            waiting = {index: again(job) for index, job in waiting.items() if index not in done}
            if not waiting:
                break
        if len(done) < len(jobs):
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.discarded.items())
            raise GenerationError(f"generator {self.name!r} gave nothing usable in {TRIES} tries: {reasons}")
        return [done[index] for index in range(len(jobs))]

    def starting_from(self, reals: Source) -> DiffusionGenerator:
        """The same model with other pictures to change; it is loaded and placed once, for both."""
        self._place()
        other = copy.copy(self)
        other._reals = reals
        return other

    def close(self) -> None:
        """Free the weights. The generator cannot be used after."""
        self._pipeline = None
        pipelines.free_memory()

    def __enter__(self) -> DiffusionGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _job(self, prompt: str, rng: np.random.Generator) -> Job:
        seed = int(rng.integers(2**53))
        short = self._shortened(prompt)
        job = Job(short, seed, cut=short != prompt)
        if self.row.task is not Task.IMAGE_TO_IMAGE or self._reals is None:
            return job
        own = np.random.default_rng(seed)
        job = replace(job, base=self._reals.draw(Modality.IMAGE, Label.REAL, own))
        if "mask_image" not in self._accepted:
            return job
        share = self.row.options.get("composite", 0.0)
        composite = isinstance(share, int | float) and bool(own.random() < share)
        return replace(job, mask=draw_mask(own), composite=composite)

    def _shortened(self, prompt: str) -> str:
        """The prompt cut to what the roomiest tokenizer, or the row if it says less, takes in."""
        tokenizers = [getattr(self._pipeline, f"tokenizer{suffix}", None) for suffix in ("", "_2", "_3")]
        roomiest = max((t for t in tokenizers if t is not None), key=lambda t: int(t.model_max_length), default=None)
        limit = self.row.options.get("tokens")
        if roomiest is None:
            return prompt
        limit = min(limit if isinstance(limit, int) else 512, int(roomiest.model_max_length))
        return fit(prompt, lambda text: len(roomiest(text, truncation=False, verbose=False).input_ids), limit)

    def _run(self, jobs: Sequence[Job], call: Call) -> list[Sample | None]:
        """Samples in order, None for what was discarded; shrinks the plan when memory runs out."""
        result: list[Sample | None] = []
        while len(result) < len(jobs):
            chunk = jobs[len(result) : len(result) + self.plan.batch]
            try:
                outputs = self._call(chunk, call)
            except torch.OutOfMemoryError as error:
                less = pipelines.smaller(self.plan, self._device)
                if less is None:
                    raise GenerationError(f"generator {self.name!r} does not fit into memory: {error}") from error
                self.discarded["out of memory"] += 1
                self._placed = self._placed and less.placement is self.plan.placement
                self.plan = less
                pipelines.free_memory()
                continue
            result.extend(self._sample(job, call, output) for job, output in zip(chunk, outputs, strict=True))
        return result

    def _place(self) -> None:
        """Bring the weights to where they work, unless they are there."""
        if not self._placed:
            pipelines.place(self._pipeline, self.plan.placement, self._device)
            self._placed = True

    def _call(self, jobs: Sequence[Job], call: Call) -> Sequence[Images]:
        """One call of the pipeline: per job (T, H, W, 3) in 0..1, an image as one frame."""
        self._place()
        inputs = arguments(self.row, call, self._accepted)
        negative = self.row.options.get("negative")
        if isinstance(negative, str) and "negative_prompt" in self._accepted:
            inputs["negative_prompt"] = [negative] * len(jobs)
        inputs.update(pictures(jobs, (call.height, call.width)))
        with torch.inference_mode():
            output = self._pipeline(
                prompt=[job.prompt for job in jobs],
                generator=[torch.Generator("cpu").manual_seed(job.seed) for job in jobs],
                output_type="np",
                callback_on_step_end=self._step,
                **inputs,
            )
        if self.modality is Modality.VIDEO:
            return [np.asarray(clip) for clip in output.frames]
        return [np.asarray(image)[None] for image in output.images]

    def _step(self, _pipeline: Any, step: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        if self.stop.is_set():
            raise Stopped(f"generator {self.name!r} was stopped at step {step + 1}")
        return values

    def _sample(self, job: Job, call: Call, output: Images) -> Sample | None:
        """The finished sample, or None when the output is of no use."""
        if not np.isfinite(output).all():
            self.discarded["NaN"] += 1
            return None
        frames = np.rint(np.clip(output, 0, 1) * 255).astype(np.uint8)
        media = Media(frames, self.row.fps if self.modality is Modality.VIDEO else None)
        if reason := flaw(media):
            self.discarded[reason.split(" (")[0]] += 1
            return None
        return Sample(finish(job, media), Label.SYNTHETIC, self._provenance(job, call))

    def _provenance(self, job: Job, call: Call) -> Provenance:
        parameters: dict[str, JSON] = {**pipelines.describe(self._pipeline, self.row), **call.to_json()}
        if self.row.fps is not None:
            parameters["fps"] = self.row.fps
        if job.cut:
            parameters["prompt_cut"] = True
        if job.mask is not None:
            parameters["mask"] = job.mask.to_json()
            parameters["composite"] = job.composite
        real = None if job.base is None else job.base.provenance
        return Provenance(
            source=self.name if real is None else real.source,
            item=f"{job.seed:014x}" if real is None else real.item,
            licence=self.row.licence if real is None else f"{real.licence}; {self.row.licence}",
            model=self.name,
            prompt=job.prompt,
            seed=job.seed,
            parameters=parameters,
        )
