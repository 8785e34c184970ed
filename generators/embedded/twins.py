"""Generators that ship with the package and start from real media: they need no hub and run on a CPU.

Each makes same-content twins: what a photograph shows, drawn again by a decoder. `generate` takes the photographs from
the source given at load; `reconstruct` makes the twin of a given sample, for training on pairs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from generators.embedded import autoencoder, upsampling
from generators.library_errors import typed_errors
from generators.rows import GeneratorRow
from subnet.errors import GenerationError, SettingsError
from subnet.protocols import Source
from subnet.types import JSON, Frames, Label, Media, Modality, Provenance, Sample


class Reconstructor(Protocol):
    """A generator that can make the synthetic twin of a given real sample."""

    name: str
    modality: Modality

    def generate(self, prompts: Sequence[str], rng: np.random.Generator) -> list[Sample]:
        """One twin per prompt, of media drawn from the source."""

    def reconstruct(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The same content, synthetic, at the same size. Raises GenerationError for another modality."""


def noise_like(z_BCHW: Tensor, seed: int) -> Tensor:
    """Standard normal numbers in the shape of `z_BCHW`, the same for the same seed on every device."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(z_BCHW.shape, generator=source).to(z_BCHW)


def padded(x_BCHW: Tensor) -> Tensor:
    """Sides brought up to a multiple of the autoencoder's factor by repeating the border."""
    height, width = x_BCHW.shape[2:]
    extra = (0, -width % autoencoder.FACTOR, 0, -height % autoencoder.FACTOR)
    return torch.nn.functional.pad(x_BCHW, extra, mode="replicate") if any(extra) else x_BCHW


class Twin(ABC):
    """What all reconstructions share: drawing real media, seeds, provenance. A subclass says how pixels are made."""

    def __init__(
        self,
        row: GeneratorRow,
        model: autoencoder.Autoencoder,
        *,
        weights: str,
        reals: Source | None = None,
        device: str = "cpu",
    ) -> None:
        self.row, self.model, self.reals, self.device = row, model, reals, device
        self.name, self.modality, self.weights = row.name, row.modality, weights

    def generate(self, prompts: Sequence[str], rng: np.random.Generator) -> list[Sample]:
        """One twin per prompt; the prompts say nothing to an autoencoder. Raises SourceEmpty and SettingsError."""
        source = self.reals
        if source is None:
            raise SettingsError(f"the generator {self.name} draws real media anew: load it with reals=<a source>")
        return [self.reconstruct(source.draw(self.modality, Label.REAL, rng), rng) for _ in prompts]

    def reconstruct(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The twin of one sample. Everything random about it comes from the seed in its provenance."""
        if sample.modality is not self.modality:
            raise GenerationError(f"the generator {self.name} works on {self.modality}s, not on a {sample.modality}")
        seed = int(rng.integers(2**31))
        own = np.random.default_rng(seed)
        drawn: dict[str, JSON] = {name: round(span.draw(own), 4) for name, span in self.row.ranges.items()}
        decoder = self.row.options.get("decoder") or autoencoder.KINDS[int(own.integers(len(autoencoder.KINDS)))]
        drawn["decoder"] = decoder
        with typed_errors(f"the generator {self.name}"):
            frames = self.draw_again(sample.media.frames, seed, drawn)
        real = sample.provenance
        parameters = {**real.parameters, "weights": self.weights, **drawn}
        about = Provenance(real.source, real.item, real.licence, self.name, None, seed, parameters)
        return Sample(Media(frames, sample.media.fps), Label.SYNTHETIC, about)

    @abstractmethod
    def draw_again(self, frames: Frames, seed: int, drawn: dict[str, JSON]) -> Frames:
        """The frames of the twin, as many and as large as `frames`: a pure function of the arguments."""

    def latents(self, frames: Frames) -> Tensor:
        """z_BCHW of uint8 frames (T, H, W, 3); the sides are padded to the autoencoder's factor."""
        parts = [
            padded(autoencoder.to_tensor(frames[at : at + self._at_once], self.device))
            for at in range(0, len(frames), self._at_once)
        ]
        return torch.cat([self.model.encode(x.contiguous(memory_format=torch.channels_last)) for x in parts])

    def frames(self, z_BCHW: Tensor, decoder: JSON, like: Frames) -> Frames:
        """Latents as uint8 frames at the size of `like`."""
        height, width = like.shape[1:3]
        parts = (self.model.decode(z, str(decoder)) for z in torch.split(z_BCHW, self._at_once))
        return np.concatenate([autoencoder.to_pixels(fake[..., :height, :width]) for fake in parts])

    @property
    def _at_once(self) -> int:
        """Frames worked on together: one on a CPU, whose caches hold no more, and a clip on a GPU."""
        return 1 if torch.device(self.device).type == "cpu" else 16


def number(drawn: dict[str, JSON], name: str) -> float:
    """A drawn parameter as a number."""
    value = drawn[name]
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is drawn from a range and must be a number, not {value!r}")
    return float(value)


class PictureTwin(Twin):
    """A photograph through one decoder of the autoencoder, with a little noise on the latents."""

    @torch.inference_mode()
    def draw_again(self, frames: Frames, seed: int, drawn: dict[str, JSON]) -> Frames:
        z_BCHW = self.latents(frames)
        z_BCHW = z_BCHW + number(drawn, "noise") * noise_like(z_BCHW, seed)
        return self.frames(z_BCHW, drawn["decoder"], frames)


def model_for_use(device: str) -> autoencoder.Autoencoder:
    """The trained autoencoder with its enlargements merged: quicker, not to be saved. Raises CheckpointError."""
    model = autoencoder.load_autoencoder(device=device)
    upsampling.merge(model)
    return model.to(memory_format=torch.channels_last)


def reconstruction(row: GeneratorRow, *, device: str = "cpu", reals: Source | None = None) -> PictureTwin:
    """The factory of the table's rows `ae-*`. Raises CheckpointError."""
    weights = autoencoder.digest()[:16]
    return PictureTwin(row, model_for_use(device), weights=weights, reals=reals, device=device)
