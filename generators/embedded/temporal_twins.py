"""Temporal twins: one clip twice, every frame made in the same way, its course in time once even and once not.

What is done to a frame lies on a circle: a place on it is a shift, a noise or a brightness of one and the same
strength, so that no single frame tells which twin it is from. The even twin goes round steadily; the uneven one stands
at the very same places in a random order. Nothing differs but that order, and once frames are shuffled it is gone.

These teach and examine detectors of motion. Their labels say whether the course is even, nothing else: both twins of a
pair are drawn by one decoder, or both are untouched pixels of a camera.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.embedded import autoencoder
from generators.embedded.clips import moved
from generators.embedded.twins import model_for_use, noise_like, padded
from generators.library_errors import typed_errors
from generators.rows import Range
from subnet.errors import GenerationError
from subnet.types import Frames, Label, Media, Modality, Sample

UNTOUCHED = "none"  # no decoder: the camera's own pixels
Circle = NDArray[np.float64]  # (T,) radians
Effect = Callable[[Tensor, Circle, float, int], Tensor]


def even(count: int, rng: np.random.Generator) -> Circle:
    """Half a turn to a whole one in `count` equal steps, from anywhere, either way round."""
    step = rng.uniform(np.pi, 2 * np.pi) / count * rng.choice((-1, 1))
    course: Circle = rng.uniform(0, 2 * np.pi) + step * np.arange(count)
    return course


def uneven(course: Circle, rng: np.random.Generator) -> Circle:
    """The same places in a random order."""
    return course[rng.permutation(len(course))]


def stumbling(count: int, reach: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers 0 .. count-1 in an order in which none is early or late by more than `reach`, and some are."""
    order = np.arange(count)
    for _ in range(100):
        order = np.argsort(np.arange(count) + rng.uniform(0, reach, count))
        if (np.diff(order) < 0).any():
            break
    return order


def noise(z_TCHW: Tensor, course: Circle, strength: float, seed: int) -> Tensor:
    """Between two noises on the latents; `strength` in latent units."""
    one, other = noise_like(z_TCHW[:2], seed)
    cos_T, sin_T = _round(course, z_TCHW)
    added: Tensor = cos_T.reshape(-1, 1, 1, 1) * one + sin_T.reshape(-1, 1, 1, 1) * other
    return z_TCHW + strength * added


def sway(x_TCHW: Tensor, course: Circle, strength: float, seed: int) -> Tensor:
    """A shift by `strength` pixels of the latents, or of the clip where there is no decoder, whose direction turns."""
    height, width = x_TCHW.shape[-2:]
    theta_T23 = torch.eye(2, 3).to(x_TCHW).repeat(len(course), 1, 1)
    cos_T, sin_T = _round(course, x_TCHW)
    theta_T23[:, 0, 2], theta_T23[:, 1, 2] = 2 * strength * cos_T / width, 2 * strength * sin_T / height
    return moved(x_TCHW, theta_T23)


def light(x_TCHW: Tensor, course: Circle, strength: float, seed: int) -> Tensor:
    """Brightness of pixels in -1..1 that rises and falls by the share `strength`, at most to what it was."""
    gain_T, _ = _round(course, x_TCHW)
    gain_T = (1 + strength * gain_T) / (1 + strength)
    return (x_TCHW + 1) * gain_T.reshape(-1, 1, 1, 1) - 1


def _round(course: Circle, like: Tensor) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.cos(course)).to(like), torch.from_numpy(np.sin(course)).to(like)


EFFECTS: Mapping[str, tuple[Effect, Range]] = {
    "noise": (noise, Range(0.1, 0.4)),
    "sway": (sway, Range(0.2, 0.8)),
    "light": (light, Range(0.02, 0.12)),
}
BEFORE = ("noise", "sway")  # done to latents, before a decoder draws the frames
ORDER = "order"  # the frames themselves, some early or late
REACH = Range(2.0, 8.0)  # frames
KINDS = (*EFFECTS, ORDER)


class TemporalTwins:
    """Makes pairs of twins out of real clips, on one device. Raises CheckpointError without the autoencoder."""

    def __init__(self, device: str = "cpu") -> None:
        self.device, self.model = device, model_for_use(device)

    @torch.inference_mode()
    def pair(self, real: Sample, kind: str, rng: np.random.Generator) -> tuple[Sample, Sample]:
        """The even twin of a real clip, which is labelled real, and the uneven one; `kind` is one of KINDS.

        Raises GenerationError for an image, and for a clip of fewer than four frames, which has no course.
        """
        frames, count, about = real.media.frames, len(real.media.frames), real.provenance
        if real.modality is not Modality.VIDEO or count < 4:
            raise GenerationError(f"temporal twins are made of clips of at least 4 frames, not of {count}")
        seed = int(rng.integers(2**31))
        untouched = kind != "noise" and rng.random() < 0.25
        decoder = UNTOUCHED if untouched else str(rng.choice(autoencoder.KINDS))
        strength = round((REACH if kind == ORDER else EFFECTS[kind][1]).draw(rng), 4)
        with typed_errors("temporal twins"):
            if kind == ORDER:
                drawn = frames if untouched else self.decoded(self.latents(frames), decoder, frames)
                both = drawn, drawn[stumbling(count, strength, rng)]
            else:
                course = even(count, rng)
                both = self._both(frames, kind, decoder, (course, uneven(course, rng)), strength, seed)
        parameters = {**about.parameters, "decoder": decoder, "strength": strength}
        made = replace(about, model=f"temporal-{kind}", seed=seed, parameters=parameters)
        steady, jumping = (Media(shown, real.media.fps) for shown in both)
        return Sample(steady, Label.REAL, made), Sample(jumping, Label.SYNTHETIC, made)

    def _both(
        self, frames: Frames, kind: str, decoder: str, courses: tuple[Circle, Circle], strength: float, seed: int
    ) -> tuple[Frames, Frames]:
        """The clip after the effect `kind` along both courses; what they share is computed once."""
        effect = EFFECTS[kind][0]
        if decoder != UNTOUCHED and kind in BEFORE:
            z_TCHW = self.latents(frames)
            first, second = (effect(z_TCHW, course, strength, seed) for course in courses)
            return self.decoded(first, decoder, frames), self.decoded(second, decoder, frames)
        drawn = frames if decoder == UNTOUCHED else self.decoded(self.latents(frames), decoder, frames)
        x_TCHW = autoencoder.to_tensor(drawn, self.device)
        first, second = (effect(x_TCHW, course, strength, seed) for course in courses)
        return autoencoder.to_pixels(first), autoencoder.to_pixels(second)

    def latents(self, frames: Frames) -> Tensor:
        """z_TCHW of a clip, a frame at a time: a processor's cache holds no more."""
        parts = [padded(autoencoder.to_tensor(frame[None], self.device)) for frame in frames]
        return torch.cat([self.model.encode(x.contiguous(memory_format=torch.channels_last)) for x in parts])

    def decoded(self, z_TCHW: Tensor, decoder: str, like: Frames) -> Frames:
        """Latents as frames of the size of `like`."""
        height, width = like.shape[1:3]
        parts = (self.model.decode(z, decoder)[..., :height, :width] for z in torch.split(z_TCHW, 1))
        return np.concatenate([autoencoder.to_pixels(x) for x in parts])
