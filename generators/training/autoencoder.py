"""Train the autoencoder on the embedded train split: `python -m generators.training.autoencoder --minutes 25`.

The loss is L1 on pixels and on their differences, which keeps edges, plus the difference of the logarithm of local
Laplacian energy, which keeps texture: an L1 loss alone gives blurred pictures that a plain sharpness score betrays.
Training starts at the principal components of patches (`generators.embedded.principal_components`). One decoder is
trained per step, in turn; the encoder is trained by all. Weights are averaged over steps (EMA).
The run can be killed and started again: it goes on from `OUT/state.pt`.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generators.embedded import principal_components
from generators.embedded.autoencoder import KINDS, WEIGHTS, Autoencoder, save, to_pixels, to_tensor
from generators.training import photos
from subnet.types import Split

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What a run is made of. `crop` in pixels, `minutes` of wall clock in all its parts together."""

    minutes: float = 25.0
    seed: int = 0
    batch: int = 8
    crop: int = 96
    rate: float = 1e-3
    warmup: int = 50
    average: float = 0.99
    gradient: float = 0.5
    energy: float = 0.2
    noise: float = 0.1
    every: int = 200


def laplacian(x_BCHW: Tensor) -> Tensor:
    """Four-neighbour Laplacian of the mean over colours, borders left out: (B, 1, H - 2, W - 2)."""
    y = x_BCHW.mean(1, keepdim=True)
    inner = y[..., 1:-1, 1:-1]
    return 4 * inner - y[..., :-2, 1:-1] - y[..., 2:, 1:-1] - y[..., 1:-1, :-2] - y[..., 1:-1, 2:]


def log_energy(x_BCHW: Tensor, patch: int = 14) -> Tensor:
    """Logarithm of the mean squared Laplacian over patches; the floor is two grey levels."""
    return torch.log(nn.functional.avg_pool2d(laplacian(x_BCHW) ** 2, patch) + (4 / 255) ** 2)


def loss(fake_BCHW: Tensor, real_BCHW: Tensor, recipe: Recipe) -> Tensor:
    """L1 + differences + local energy, weighted by the recipe."""
    error = fake_BCHW - real_BCHW
    across = (error[..., :, 1:] - error[..., :, :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    energy = (log_energy(fake_BCHW) - log_energy(real_BCHW)).abs().mean()
    return error.abs().mean() + recipe.gradient * (across + down) / 2 + recipe.energy * energy


def psnr(fake: np.ndarray[Any, Any], real: np.ndarray[Any, Any]) -> float:
    """Mean over pictures of the peak signal-to-noise ratio in dB, uint8 (B, H, W, 3)."""
    squared = ((fake.astype(np.float32) - real.astype(np.float32)) ** 2).mean(axis=(1, 2, 3))
    return float(np.mean(10 * np.log10(255.0**2 / np.maximum(squared, 1e-3))))


@torch.inference_mode()
def validate(model: Autoencoder, held_out: np.ndarray[Any, Any]) -> dict[str, tuple[float, float]]:
    """For each decoder: PSNR in dB, and the ratio of Laplacian energy of its pictures to the real ones (1 is right)."""
    x_BCHW = to_tensor(held_out)
    z_BCHW = model.encode(x_BCHW)
    result = {}
    for kind in KINDS:
        fake = to_pixels(model.decode(z_BCHW, kind))
        ratio = (laplacian(to_tensor(fake)).var((1, 2, 3)) / laplacian(x_BCHW).var((1, 2, 3))).median()
        result[kind] = (psnr(fake, held_out), float(ratio))
    return result


class Trainer:
    """A run: the networks, the optimiser, and how far it has come. `state` and `restore` make it resumable."""

    def __init__(self, recipe: Recipe, start: Tensor) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.model = Autoencoder()
        principal_components.begin(self.model, start)
        self.model = self.model.to(memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=recipe.rate, betas=(0.9, 0.98))
        self.step = 0
        self.elapsed = 0.0

    def rate(self) -> float:
        """Linear warm-up by steps, then a cosine over the wall clock down to 2 %."""
        warm = min(1.0, (self.step + 1) / self.recipe.warmup)
        done = min(1.0, self.elapsed / (60 * self.recipe.minutes))
        return self.recipe.rate * warm * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * done)))

    def advance(self, pictures: list[photos.Pixels]) -> float:
        """One step on crops that depend on (seed, step) alone; returns the loss."""
        start = time.monotonic()
        rng = np.random.default_rng([self.recipe.seed, self.step])
        real = to_tensor(photos.batch(pictures, self.recipe.batch, self.recipe.crop, rng))
        real = real.contiguous(memory_format=torch.channels_last)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        z_BCHW = self.model.encode(real)
        sigma_B111 = self.recipe.noise * torch.rand(len(real), 1, 1, 1)
        z_BCHW = z_BCHW + sigma_B111 * torch.randn_like(z_BCHW)
        pull = 1e-4 * (z_BCHW**2).mean()
        value = loss(self.model.decode(z_BCHW, KINDS[self.step % len(KINDS)]), real, self.recipe)
        self.optimiser.zero_grad(set_to_none=True)
        (value + pull).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        self.step += 1
        self.elapsed += time.monotonic() - start
        return float(value.detach())

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])


def checkpoint(trainer: Trainer, out: Path) -> None:
    """Write the averaged weights and the state of the run, each whole or not at all."""
    save(trainer.ema, out / WEIGHTS.name)
    part = out / "state.part"
    torch.save(trainer.state(), part)
    part.replace(out / "state.pt")


def train(recipe: Recipe, out: Path) -> Autoencoder:
    """Train until the recipe's minutes are used up; returns the averaged network."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = photos.read(Split.TRAIN)
    held_out = np.stack([photos.centre(photo) for photo in photos.read(Split.VALIDATION)[:24]])
    start = to_tensor(photos.batch(pictures, 128, recipe.crop, np.random.default_rng(recipe.seed)))
    trainer = Trainer(recipe, start)
    if (out / "state.pt").exists():
        trainer.restore(torch.load(out / "state.pt", weights_only=True))
        log.info("going on from step %d, %.1f minutes done", trainer.step, trainer.elapsed / 60)
    while trainer.elapsed < 60 * recipe.minutes:
        value = trainer.advance(pictures)
        if trainer.step % recipe.every == 0:
            checkpoint(trainer, out)
            found = {kind: f"{db:.2f} dB x{ratio:.2f}" for kind, (db, ratio) in validate(trainer.ema, held_out).items()}
            log.info("step %d, %.1f min, loss %.4f, %s", trainer.step, trainer.elapsed / 60, value, found)
    checkpoint(trainer, out)
    return trainer.ema.eval()


def main() -> None:
    """Read the flags and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS.parent, help="folder for weights and state")
    parser.add_argument(
        "--minutes", type=float, default=Recipe.minutes, help="wall clock for training (default %(default)g)"
    )
    parser.add_argument(
        "--seed", type=int, default=Recipe.seed, help="of the first weights and all crops (default %(default)d)"
    )
    parser.add_argument("--batch", type=int, default=Recipe.batch, help="crops a step (default %(default)d)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the CPU (default %(default)d)")
    flags = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(flags.threads)
    train(Recipe(minutes=flags.minutes, seed=flags.seed, batch=flags.batch), flags.out)


if __name__ == "__main__":
    main()
