"""One sample to be made by a large model: what goes in, and what becomes of what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from generators.catalog.masks import Mask, render
from subnet.codec import image as codec
from subnet.media.cutting import FRAMES, cut
from subnet.types import Media, Sample


@dataclass(frozen=True, eq=False)
class Job:
    """One sample to make. Everything random about it comes from `seed`."""

    prompt: str
    seed: int
    cut: bool = False  # the prompt was too long
    base: Sample | None = None  # the real picture that is changed
    mask: Mask | None = None
    composite: bool = False  # outside the mask, the real picture is put back


def finish(job: Job, media: Media) -> Media:
    """What a model made, as a pool item: cut at random like a real one, or, of a changed picture, all of it."""
    rng = np.random.default_rng([job.seed, 1])
    if job.base is None:
        return cut(media, rng, min(FRAMES, len(media.frames))).media
    whole = codec.normalise(media, None)
    if job.mask is None or not job.composite:
        return whole
    real = codec.normalise(job.base.media, None).frames.astype(np.float32)
    weight = render(job.mask, *codec.TARGET_SIZE)[None, :, :, None]
    mixed = whole.frames * weight + real * (1 - weight)
    return Media(np.rint(mixed).astype(np.uint8))


def pictures(jobs: Sequence[Job], size: tuple[int, int]) -> dict[str, object]:
    """The pictures to change and their masks, at the size the model works at; nothing for text alone."""
    from PIL import Image

    bases = [job.base for job in jobs if job.base is not None]
    if not bases:
        return {}
    inputs: dict[str, object] = {
        "image": [Image.fromarray(codec.normalise(base.media, None, size).frames[0]) for base in bases]
    }
    masks = [job.mask for job in jobs if job.mask is not None]
    if masks:
        inputs["mask_image"] = [Image.fromarray(np.rint(render(mask, *size) * 255).astype(np.uint8)) for mask in masks]
    return inputs


def again(job: Job) -> Job:
    """The same job with the next seed, a function of the last."""
    return replace(job, seed=int(np.random.default_rng([job.seed, 2]).integers(2**53)))
