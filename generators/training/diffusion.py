"""Train the small diffusion model on the embedded train split: `python -m generators.training.diffusion --minutes 30`.

Two parts that do not wait for each other, since the encoder is fixed from the start (principal components): the
decoder learns to draw latents, and the UNet with its text encoder learns to take noise off them (v-prediction,
arXiv 2202.00512; prompts dropped one time in eight for classifier-free guidance, arXiv 2207.12598). Either part can be
killed and started again. Times are drawn towards little noise: starting from photographs is what the model is for.
What there is of both is saved as a pipeline in diffusers' format under `OUT/pipeline`.
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

from generators.embedded import tiny_diffusion
from generators.embedded.autoencoder import to_pixels, to_tensor
from generators.training import photos
from generators.training.autoencoder import Recipe as Weighting
from generators.training.autoencoder import loss as picture_loss
from generators.training.quality import psnr
from subnet.types import Split

log = logging.getLogger(__name__)
Data = tuple[list[photos.Pixels], list[str]]  # photographs and what is said of each
EVERY = 200  # steps between checkpoints


@dataclass(frozen=True)
class Recipe:
    """One part of the training: wall clock, seed, crops of `crop` pixels, `batch` of them a step, peak rate."""

    minutes: float
    seed: int
    batch: int
    crop: int
    rate: float
    average: float


def encoder_start(pictures: list[photos.Pixels]) -> Tensor:
    """The crops whose principal components fix the encoder: always the same."""
    return to_tensor(photos.batch(pictures, 128, 96, np.random.default_rng(0)))


class Course:
    """Parameters under training, their running average, and how far it has come."""

    def __init__(self, network: Any, recipe: Recipe, file: Path) -> None:
        self.network, self.recipe, self.file = network, recipe, file
        self.ema = copy.deepcopy(network).requires_grad_(False)
        trained = [value for value in network.parameters() if value.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.step, self.elapsed = 0, 0.0
        if file.exists():
            state = torch.load(file, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.ema.load_state_dict(state["ema"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.elapsed = int(state["step"]), float(state["elapsed"])

    def save(self) -> None:
        """All that is needed to go on, whole or not at all."""
        state: dict[str, Any] = {"network": self.network.state_dict(), "ema": self.ema.state_dict()}
        state |= {"optimiser": self.optimiser.state_dict(), "step": self.step, "elapsed": self.elapsed}
        part = self.file.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.file)

    @property
    def over(self) -> bool:
        return self.elapsed >= 60 * self.recipe.minutes

    @property
    def progress(self) -> str:
        return f"step {self.step}, {self.elapsed / 60:.1f} min"

    def learn(self, value: Tensor) -> None:
        """One step down the loss: warm-up over 50 steps, cosine over the wall clock, gradient norm at most 1."""
        done = min(1.0, self.elapsed / (60 * self.recipe.minutes))
        falling = 0.03 + 0.97 * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * min(1.0, (self.step + 1) / 50) * falling
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.ema.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        self.step += 1


def decoder_loss(vae: Any, real: Tensor, generator: torch.Generator) -> Tensor:
    """How well latents with a little noise are drawn."""
    with torch.no_grad():
        z_BCHW = vae.encode(real).latents
    sigma = 0.05 * torch.rand(len(real), 1, 1, 1, generator=generator)
    z_BCHW = z_BCHW + sigma * torch.randn(z_BCHW.shape, generator=generator)
    return picture_loss(vae.decode(z_BCHW).sample, real, Weighting())


def train_decoder(recipe: Recipe, out: Path) -> None:
    """Train the decoder until its minutes are used up; PSNR on validation photographs goes to the log."""
    pictures = photos.read(Split.TRAIN)
    held_out = np.stack([photos.centre(photo) for photo in photos.read(Split.VALIDATION)[:16]])
    torch.manual_seed(recipe.seed)
    vae = tiny_diffusion.vae()
    tiny_diffusion.set_encoder(vae, encoder_start(pictures))
    run = Course(vae, recipe, out / "decoder.pt")
    while not run.over:
        start = time.monotonic()
        rng = np.random.default_rng([recipe.seed, run.step])
        real = to_tensor(photos.batch(pictures, recipe.batch, recipe.crop, rng))
        value = decoder_loss(run.network, real, torch.Generator().manual_seed(int(rng.integers(2**31))))
        run.learn(value)
        run.elapsed += time.monotonic() - start
        if run.step % EVERY == 0 or run.over:
            run.save()
            with torch.inference_mode():
                fake = to_pixels(run.ema.decode(run.ema.encode(to_tensor(held_out)).latents).sample)
            likeness = np.mean([psnr(one, other) for one, other in zip(fake, held_out, strict=True)])
            log.info("decoder %s, loss %.4f, %.2f dB", run.progress, value.detach(), likeness)


class Denoiser(nn.Module):
    """The UNet and the text encoder, trained together."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = tiny_diffusion.unet()
        self.text = tiny_diffusion.text_encoder()

    def forward(self, noisy_BCHW: Tensor, times_B: Tensor, tokens_BT: Tensor) -> Tensor:
        words_BTC = self.text(tokens_BT).last_hidden_state
        predicted: Tensor = self.unet(noisy_BCHW, times_B, encoder_hidden_states=words_BTC).sample
        return predicted


def token_rows(texts: list[str], tokenizer: Any) -> Tensor:
    """Token ids (B, TOKENS), padded and cut."""
    encoded = tokenizer(texts, padding="max_length", truncation=True, max_length=tiny_diffusion.TOKENS)
    return torch.tensor(encoded.input_ids)


@dataclass(frozen=True)
class Denoising:
    """All that the loss of the denoiser needs beside the network."""

    vae: Any
    scheduler: Any
    tokenizer: Any
    recipe: Recipe

    def loss(self, network: nn.Module, data: Data, seed: list[int], drop: float) -> Tensor:
        """Mean squared error of the predicted velocity on crops, times and noise that depend on `seed` alone."""
        rng = np.random.default_rng(seed)
        pictures, texts = data
        picks = rng.integers(0, len(pictures), self.recipe.batch)
        real = to_tensor(np.stack([photos.crop(pictures[pick], self.recipe.crop, rng) for pick in picks]))
        tokens_BT = token_rows(["" if rng.random() < drop else texts[pick] for pick in picks], self.tokenizer)
        source = torch.Generator().manual_seed(int(rng.integers(2**31)))
        with torch.no_grad():
            z_BCHW = self.vae.encode(real).latents * self.vae.config.scaling_factor
            noise = torch.randn(z_BCHW.shape, generator=source)
            times_B = (1000 * torch.rand(len(real), generator=source) ** 2).long()  # mostly little noise
            noisy = self.scheduler.add_noise(z_BCHW, noise, times_B)
            target = self.scheduler.get_velocity(z_BCHW, noise, times_B)
        return nn.functional.mse_loss(network(noisy, times_B, tokens_BT), target)


def train_unet(recipe: Recipe, out: Path) -> None:
    """Train the denoiser until its minutes are used up; the loss on validation photographs goes to the log."""
    known, unknown = ((photos.read(split), photos.captions(split)) for split in (Split.TRAIN, Split.VALIDATION))
    torch.manual_seed(recipe.seed)
    vae = tiny_diffusion.vae()
    tiny_diffusion.set_encoder(vae, encoder_start(known[0]))
    task = Denoising(vae, tiny_diffusion.scheduler(), tiny_diffusion.tokenizer(known[1]), recipe)
    run = Course(Denoiser(), recipe, out / "unet.pt")

    while not run.over:
        start = time.monotonic()
        value = task.loss(run.network, known, [recipe.seed, run.step], 0.125)
        run.learn(value)
        run.elapsed += time.monotonic() - start
        if run.step % EVERY == 0 or run.over:
            run.save()
            with torch.inference_mode():
                found = np.mean([float(task.loss(run.ema, unknown, [1, n], 0.0)) for n in range(4)])
            log.info("unet %s, loss %.4f, validation %.4f", run.progress, value.detach(), found)


def assemble(out: Path) -> None:
    """Save what both parts have learned as a StableDiffusionPipeline, weights in half precision."""
    import diffusers

    vae, denoiser = tiny_diffusion.vae(), Denoiser()
    vae.load_state_dict(torch.load(out / "decoder.pt", weights_only=True)["ema"])
    denoiser.load_state_dict(torch.load(out / "unet.pt", weights_only=True)["ema"])
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae.half(),
        unet=denoiser.unet.half(),
        text_encoder=denoiser.text.half(),
        tokenizer=tiny_diffusion.tokenizer(photos.captions(Split.TRAIN)),
        scheduler=tiny_diffusion.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(out / "pipeline")


def main() -> None:
    """Read the flags and train one part or both, then save the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("tiny-diffusion"), help="folder for state and pipeline")
    parser.add_argument("--part", choices=("decoder", "unet", "both"), default="both", help="what to train")
    parser.add_argument("--minutes", type=float, default=30.0, help="wall clock for each part (default %(default)g)")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and all noise (default %(default)d)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU (default %(default)d)")
    flags = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(flags.threads)
    flags.out.mkdir(parents=True, exist_ok=True)
    if flags.part != "unet":
        train_decoder(Recipe(flags.minutes, flags.seed, batch=8, crop=64, rate=2e-3, average=0.99), flags.out)
    if flags.part != "decoder":
        train_unet(Recipe(flags.minutes, flags.seed, batch=8, crop=96, rate=1e-3, average=0.995), flags.out)
    if (flags.out / "decoder.pt").exists() and (flags.out / "unet.pt").exists():
        assemble(flags.out)


if __name__ == "__main__":
    main()
