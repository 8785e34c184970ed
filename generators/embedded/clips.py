"""Synthetic clips from real ones through the autoencoder, in seconds on a CPU.

`video-jitter` draws every frame anew while its latents tremble: each frame looks right and their sequence does not, as
with image models applied frame by frame. `video-latent` keeps only two frames of the clip and invents the way between
them: a camera path bends the latents while one frame turns into the other.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from generators.embedded import autoencoder
from generators.embedded.twins import Twin, model_for_use, noise_like, number
from generators.rows import GeneratorRow
from subnet.protocols import Source
from subnet.types import JSON, Frames


def trembling(z_TCHW: Tensor, memory: float, seed: int) -> Tensor:
    """Noise of unit variance for a clip's latents that remembers the frame before: an AR(1) process along T."""
    fresh = noise_like(z_TCHW, seed)
    steps = [fresh[0]]
    for frame in fresh[1:]:
        steps.append(memory * steps[-1] + (1 - memory**2) ** 0.5 * frame)
    return torch.stack(steps)


def moved(z_TCHW: Tensor, theta_T23: Tensor) -> Tensor:
    """Each latent frame seen through its affine map (`torch.nn.functional.affine_grid`), borders mirrored."""
    grid = torch.nn.functional.affine_grid(theta_T23, list(z_TCHW.shape), align_corners=False)
    return torch.nn.functional.grid_sample(z_TCHW, grid, mode="bicubic", padding_mode="reflection", align_corners=False)


def path(times_T: Tensor, zoom: float, across: float, down: float, turn: float) -> Tensor:
    """Affine maps theta_T23 of a camera that zooms, pans and turns in proportion to `times_T`; at time 0 it rests."""
    scale, angle = 1 - zoom * times_T, turn * times_T
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = torch.stack([cos, -sin, across * times_T, sin, cos, down * times_T], dim=1)
    return rows.reshape(-1, 2, 3)


def mixed(away_TCHW: Tensor, home_TCHW: Tensor, weight_T: Tensor) -> Tensor:
    """Latents between two, each channel with the spread between theirs: a plain mean of two pictures is too soft."""
    weight_T111 = weight_T.reshape(-1, 1, 1, 1)
    z_TCHW = torch.lerp(away_TCHW, home_TCHW, weight_T111)
    away, home, got = (part.std((2, 3), keepdim=True) for part in (away_TCHW, home_TCHW, z_TCHW))
    gain = (torch.lerp(away, home, weight_T111) / got.clamp_min(1e-6)).clamp(1.0, 1.6)
    centre = z_TCHW.mean((2, 3), keepdim=True)
    return centre + gain * (z_TCHW - centre)


class Jitter(Twin):
    """A real clip frame by frame through one decoder; latents tremble, and sway by parts of a latent pixel."""

    @torch.inference_mode()
    def draw_again(self, frames: Frames, seed: int, drawn: dict[str, JSON]) -> Frames:
        z_TCHW = self.latents(frames)
        noise_TCHW = trembling(z_TCHW, number(drawn, "memory"), seed)
        z_TCHW = z_TCHW + number(drawn, "jitter") * noise_TCHW
        shift_T2 = torch.from_numpy(np.random.default_rng([seed, 1]).normal(size=(len(frames), 2))).to(z_TCHW)
        shift_T2 = shift_T2 * number(drawn, "sway") * 2 / z_TCHW.shape[-1]
        theta_T23 = torch.eye(2, 3).to(z_TCHW).repeat(len(frames), 1, 1)
        theta_T23[:, :, 2] = shift_T2
        return self.frames(moved(z_TCHW, theta_T23), drawn["decoder"], frames)


class Latent(Twin):
    """A camera path from the clip's first frame to one `gap` frames later, both moving, one fading into the other."""

    @torch.inference_mode()
    def draw_again(self, frames: Frames, seed: int, drawn: dict[str, JSON]) -> Frames:
        count = len(frames)
        z_2CHW = self.latents(frames[[0, min(int(number(drawn, "gap")), count - 1)]])
        times_T = torch.linspace(0, 1, count).to(z_2CHW)
        ease_T = times_T**2 * (3 - 2 * times_T)
        motion = [number(drawn, name) for name in ("zoom", "across", "down", "turn")]
        away = moved(z_2CHW[:1].expand(count, -1, -1, -1), path(times_T, *motion))
        home = moved(z_2CHW[1:].expand(count, -1, -1, -1), path(times_T - 1, *motion))
        z_TCHW = mixed(away, home, ease_T)
        z_TCHW = z_TCHW + number(drawn, "noise") * trembling(z_TCHW, 0.9, seed)
        return self.frames(z_TCHW, drawn["decoder"], frames)


def jitter(row: GeneratorRow, *, device: str = "cpu", reals: Source | None = None) -> Jitter:
    """The factory of the table's row `video-jitter`. Raises CheckpointError."""
    return Jitter(row, model_for_use(device), weights=autoencoder.digest()[:16], reals=reals, device=device)


def latent(row: GeneratorRow, *, device: str = "cpu", reals: Source | None = None) -> Latent:
    """The factory of the table's row `video-latent`. Raises CheckpointError."""
    return Latent(row, model_for_use(device), weights=autoencoder.digest()[:16], reals=reals, device=device)
