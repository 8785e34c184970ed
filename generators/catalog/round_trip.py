"""Real media through a public model's autoencoder and back: same-content twins, for training on pairs.

Nothing is drawn: the most likely latents are taken, so a twin is a function of its original and the weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generators import capability
from generators.catalog.pipelines import explained, pipeline_class
from generators.library_errors import LIBRARY_ERRORS, typed_errors
from generators.rows import GeneratorRow, Task
from subnet.errors import CheckpointError, GenerationError, SettingsError
from subnet.protocols import Source
from subnet.types import JSON, Frames, Label, Media, Provenance, Sample

WEIGHTS = Path(__file__).parents[1] / "weights"
AT_ONCE = 4  # pictures of a GPU; a CPU takes one after the other


def load_round_trip(
    row: GeneratorRow,
    *,
    device: str = "cpu",
    reals: Source | None = None,
    cache: Path | None = None,
    token: str | None = None,
) -> RoundTrip:
    """The autoencoder of `row`, in float32; only its part of the repository is fetched.

    Raises SettingsError for a gate without a token and too little disk, CheckpointError where weights that ship are
    missing, GenerationError where files do not load.
    """
    capability.require(row, capability.probe(cache, token=token is not None or None), device)
    return RoundTrip(row, open_autoencoder(row, token=token, cache=cache).to(device), device=device, reals=reals)


def open_autoencoder(row: GeneratorRow, *, token: str | None = None, cache: Path | None = None) -> Any:
    """The diffusers model of `row`, on the CPU and ready to use; `repository` may be a folder."""
    folder, subfolder = row.options.get("folder"), row.options.get("subfolder")
    place = str(WEIGHTS / str(folder)) if folder else row.repository
    if folder and not Path(place).is_dir():
        raise CheckpointError(f"the generator {row.name} has no weights: {place} is missing")
    local = Path(place).is_dir()
    kind = pipeline_class(row.pipeline)
    try:
        model = kind.from_pretrained(
            place,
            revision=None if local else row.revision,
            subfolder=subfolder if isinstance(subfolder, str) else None,
            dtype=torch.float32,
            token=token,
            cache_dir=cache,
        )
    except LIBRARY_ERRORS as error:
        raise explained(row, error) from error
    return model.eval().requires_grad_(False)


class RoundTrip:
    """A `Generator` that makes twins (`reconstruct`) by a diffusers autoencoder of pictures or of clips."""

    def __init__(self, row: GeneratorRow, model: Any, *, device: str = "cpu", reals: Source | None = None) -> None:
        if row.task is not Task.RECONSTRUCT:
            raise SettingsError(f"generator {row.name!r} is no autoencoder: its task is {row.task}")
        self.name, self.modality, self.row = row.name, row.modality, row
        self._model, self._device, self._reals = model, torch.device(device), reals
        self._clips = hasattr(model.config, "scale_factor_temporal") or hasattr(model.config, "temperal_downsample")

    def generate(self, prompts: Sequence[str], rng: np.random.Generator) -> list[Sample]:
        """One twin per prompt, of media drawn from the source. Raises SettingsError where there is none."""
        source = self._reals
        if source is None:
            raise SettingsError(f"the generator {self.name} draws real media anew: load it with reals=<a source>")
        return [self.reconstruct(source.draw(self.modality, Label.REAL, rng), rng) for _ in prompts]

    def reconstruct(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The twin of one sample, at its size. Raises GenerationError for another modality or values not finite."""
        if sample.modality is not self.modality:
            raise GenerationError(f"the generator {self.name} works on {self.modality}s, not on a {sample.modality}")
        with typed_errors(f"generator {self.name!r}"):
            frames = self.draw_again(sample.media.frames)
        real = sample.provenance
        about: dict[str, JSON] = {
            "pipeline": self.row.pipeline,
            "repository": self.row.repository or str(self.row.options.get("folder", "")),
            "revision": self.row.revision,
        }
        licence, seed = f"{real.licence}; {self.row.licence}", int(rng.integers(2**31))  # which nothing is drawn from
        made = Provenance(real.source, real.item, licence, self.name, None, seed, {**real.parameters, **about})
        return Sample(Media(frames, sample.media.fps), Label.SYNTHETIC, made)

    @torch.inference_mode()
    def draw_again(self, frames: Frames) -> Frames:
        """uint8 (T, H, W, 3) through encoder and decoder: as many frames, as large."""
        self._tile(max(frames.shape[1:3]))
        count, height, width = frames.shape[:3]
        x_TCHW = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
        if self._clips:
            clip = self._through(_lengthened(x_TCHW).transpose(0, 1)[None])[0].transpose(0, 1)[:count]
        else:
            at_once = 1 if self._device.type == "cpu" else AT_ONCE
            clip = torch.cat([self._through(part) for part in torch.split(x_TCHW, at_once)])
        if not torch.isfinite(clip).all():
            raise GenerationError(f"generator {self.name!r} gave values that are not finite")
        levels = clip[..., :height, :width].add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        made: Frames = levels.permute(0, 2, 3, 1).contiguous().numpy()
        return made

    def close(self) -> None:
        """Free the weights."""
        self._model = None

    def _through(self, x: Tensor) -> Tensor:
        """(B, 3, ..., H, W) in [-1, 1] encoded and decoded, sides brought up to what the model divides by."""
        by = _factor(self._model)
        height, width = x.shape[-2:]
        extra = (0, -width % by, 0, -height % by) + (0, 0) * (x.ndim - 4)
        padded = functional.pad(x, extra, mode="replicate") if any(extra) else x
        found = self._model.encode(padded.to(self._device))
        z = found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents
        made: Tensor = self._model.decode(z).sample
        return made.float().cpu()

    def _tile(self, side: int) -> None:
        """Work in overlapping tiles where a side is longer than the row allows at once."""
        limit = self.row.options.get("tiling")
        if isinstance(limit, int) and hasattr(self._model, "enable_tiling"):
            (self._model.enable_tiling if side > limit else self._model.disable_tiling)()


def _factor(model: Any) -> int:
    """What the sides of a picture must divide by."""
    config = model.config
    channels = getattr(config, "block_out_channels", None) or getattr(config, "encoder_block_out_channels", None)
    return int(getattr(config, "scale_factor_spatial", None) or 2 ** (len(channels or (1,) * 4) - 1))


def _lengthened(x_TCHW: Tensor) -> Tensor:
    """The last frame repeated until there are 1 + 4 n, the lengths that autoencoders of clips take."""
    missing = -(len(x_TCHW) - 1) % 4
    return torch.cat([x_TCHW, x_TCHW[-1:].expand(missing, -1, -1, -1)]) if missing else x_TCHW
