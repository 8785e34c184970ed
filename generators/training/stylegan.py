"""Train a StyleGAN2, plain or in wavelets: `python -m generators.training.stylegan --out DIR [--data FOLDER]`.

The recipe is the paper's (arXiv 1912.04958): non-saturating logistic loss, R1 on every fourth step and path lengths on
every eighth, mixed styles, equalised learning rates, averaged weights; behind differentiable augmentation, since
pictures are few. Without `--data` it learns the embedded train photographs. Everything drawn depends on the seed and
the step alone: a run that is killed and started again goes on from `OUT/state.pt` to the very same weights.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import pickle
import time
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generators.embedded.autoencoder import to_pixels, to_tensor
from generators.stylegan.discriminator import discriminator
from generators.stylegan.drawing import devices
from generators.stylegan.loading import save_generator
from generators.stylegan.network import Generator, Sizes
from generators.training import adversarial, pictures
from generators.training.augment import STEPS, augment
from subnet.errors import CheckpointError, SettingsError, SubnetError
from subnet.media.contact_sheet import Layout, Tile, contact_sheet

log = logging.getLogger(__name__)
WEIGHTS, STATE = "stylegan.safetensors", "state.pt"
HELP = {
    "images": "real pictures that the run sees in all",
    "seed": "same seed and pictures: same weights",
    "side": "pixels along each side of a picture: a power of two",
    "style": "numbers of a latent and of a style",
    "layers": "of the mapping from latents to styles",
    "batch": "pictures a step",
    "closest": "smallest crop, as a share of a picture's short side",
    "rate": "highest learning rate",
    "warmup": "steps in which the rate rises",
    "decay": "last share of the run, in which the rate falls to a tenth",
    "r1": "weight of R1, the penalty on the discriminator's gradient; 0 without it",
    "d_reg_every": "steps between two that have R1",
    "path": "weight of the regularisation of path lengths; 0 without it",
    "g_reg_every": "steps between two that have path lengths",
    "mixing": "share of pictures with two styles",
    "half_life": "of the averaged weights, in pictures",
}
_POSITIVE = ("images", "batch", "side", "style", "layers", "rate", "warmup", "d_reg_every", "g_reg_every", "half_life")


@dataclass(frozen=True)
class Recipe:
    """What a run is made of. `images` is how many real pictures it sees in all, `side` of a picture in pixels.

    `closest` is the smallest crop, as a share of a picture's short side. The rate rises over `warmup` steps, stays, and
    falls over the last `decay` of the run to a tenth. `half_life` of the averaged weights in pictures; early on it is a
    twentieth of what was seen.
    """

    images: int = 30_000
    seed: int = 0
    side: int = 64
    wavelet: bool = False
    style: int = 96
    layers: int = 4
    widths: tuple[int, ...] = (96, 96, 64, 32, 16)  # channels at 4, 8, 16, ... pixels
    batch: int = 8
    closest: float = 0.5
    rate: float = 2e-3
    warmup: int = 100
    decay: float = 0.3
    r1: float = 0.5
    d_reg_every: int = 4
    path: float = 2.0
    g_reg_every: int = 8
    mixing: float = 0.5
    augment: tuple[str, ...] = tuple(STEPS)
    half_life: float = 3_000.0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"--{_flag(name)}: must be above 0, not {getattr(self, name)}")
        for name in ("closest", "decay"):
            if not 0 < getattr(self, name) <= 1:
                raise SettingsError(f"--{_flag(name)}: a share above 0 and up to 1, not {getattr(self, name)}")
        if not (0 <= self.mixing <= 1 and 0 <= self.r1 < math.inf and 0 <= self.path < math.inf):
            raise SettingsError("--mixing, --r1, --path: from 0, and --mixing up to 1")
        if min(self.widths, default=0) < 1 or self.seed < 0:
            raise SettingsError("--widths and --seed: channels from 1 at each resolution, and a seed from 0")
        if self.images < self.batch:
            raise SettingsError(f"--images: a run sees at least one batch of {self.batch}, not {self.images}")
        if self.sizes.side != self.side:
            raise SettingsError(
                f"--side: {self.side} is no power of two from {4 << self.wavelet} to the "
                f"{4 << len(self.widths) - 1 + self.wavelet} pixels that --widths {self.widths} reach"
            )

    @property
    def steps(self) -> int:
        return self.images // self.batch

    @property
    def sizes(self) -> Sizes:
        """Sizes of the generator; in wavelets one resolution fewer, since its last block draws four bands."""
        count = self.side.bit_length() - 2 - self.wavelet
        return Sizes(self.style, self.layers, self.widths[: max(count, 1)], self.wavelet)


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _told(name: str) -> str:
    return f"{HELP[name]} (default %(default)g)"


def lazy_adam(parameters: Any, rate: float, every: int) -> torch.optim.Adam:
    """Adam for a loss with a regulariser on one step in `every` (arXiv 1912.04958, appendix B)."""
    share = every / (every + 1)
    return torch.optim.Adam(parameters, lr=rate * share, betas=(0.0, 0.99**share), fused=True)


class Course:
    """A run: both networks, their optimisers, and how far it has come."""

    def __init__(self, recipe: Recipe, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.generator = Generator(recipe.sizes).to(device)
        self.discriminator = discriminator(recipe.sizes.widths, wavelet=recipe.wavelet).to(device)
        self.ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.generator_adam = lazy_adam(self.generator.parameters(), recipe.rate, recipe.g_reg_every)
        self.discriminator_adam = lazy_adam(self.discriminator.parameters(), recipe.rate, recipe.d_reg_every)
        self.path_mean = torch.zeros((), device=device)
        self.step = 0

    def factor(self) -> float:
        """What the learning rate is multiplied by at this step."""
        done, recipe = self.step / self.recipe.steps, self.recipe
        falling = 0.5 + 0.5 * math.cos(math.pi * max(0.0, (done - 1 + recipe.decay) / recipe.decay))
        return min(1.0, (self.step + 1) / recipe.warmup) * (0.1 + 0.9 * falling)

    def styles(self, batch: int, chance: torch.Generator) -> Tensor:
        """w_BLS of random latents; some samples change to a second style at a random layer."""
        sizes = self.recipe.sizes
        z = torch.randn(2 * batch, sizes.style, generator=chance).to(self.device)
        first, second = self.generator.map(z).chunk(2)
        mixed = torch.rand(batch, generator=chance) < self.recipe.mixing
        change = torch.randint(1, sizes.latents, (batch,), generator=chance).where(mixed, torch.tensor(sizes.latents))
        early_BL1 = (torch.arange(sizes.latents) < change[:, None]).to(self.device)[..., None]
        return torch.where(early_BL1, first[:, None], second[:, None])

    def fakes(self, batch: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random pictures, and the styles they were made of."""
        w_BLS = self.styles(batch, chance)
        return self.generator(w_BLS, self.generator.draw_noise(batch, chance)), w_BLS

    def discriminate(self, real: Tensor, chance: torch.Generator) -> float:
        """One step of the discriminator; its loss without the regulariser."""
        recipe = self.recipe
        with torch.no_grad():
            fake, _ = self.fakes(len(real), chance)
        fake, real = (augment(x_BCHW, chance, recipe.augment) for x_BCHW in (fake, real))
        lazy = self.step % recipe.d_reg_every == 0
        real = real.requires_grad_(lazy)
        real_B1 = self.discriminator(real)
        loss = adversarial.discriminator_loss(real_B1, self.discriminator(fake))
        total = loss
        if lazy:
            total = loss + recipe.r1 / 2 * recipe.d_reg_every * adversarial.gradient_penalty(real_B1, real)
        _descend(self.discriminator_adam, total)
        return float(loss.detach())

    def generate(self, batch: int, chance: torch.Generator) -> float:
        """One step of the generator; its loss without the regulariser."""
        recipe = self.recipe
        self.discriminator.requires_grad_(False)
        fake, w_BLS = self.fakes(batch, chance)
        loss = total = adversarial.generator_loss(self.discriminator(augment(fake, chance, recipe.augment)))
        if self.step % recipe.g_reg_every == 0:
            lengths_B = adversarial.path_lengths(fake, w_BLS, chance)
            self.path_mean = self.path_mean.lerp(lengths_B.detach().mean(), 0.01 if self.step else 1.0)
            total = loss + recipe.path * recipe.g_reg_every * (lengths_B - self.path_mean).square().mean()
        _descend(self.generator_adam, total)
        self.discriminator.requires_grad_(True)
        return float(loss.detach())

    def advance(self, source: pictures.Pictures) -> tuple[float, float]:
        """One step of both on pictures that depend on (seed, step) alone; the losses of discriminator and generator."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, self.step])
        chance = torch.Generator().manual_seed(int(rng.integers(2**31)))
        for adam, every in ((self.generator_adam, recipe.g_reg_every), (self.discriminator_adam, recipe.d_reg_every)):
            for group in adam.param_groups:
                group["lr"] = recipe.rate * every / (every + 1) * self.factor()
        real = to_tensor(source.batch(recipe.batch, rng), self.device)
        losses = self.discriminate(real, chance), self.generate(recipe.batch, chance)
        self.step += 1
        half_life = min(recipe.half_life, 0.05 * self.step * recipe.batch)
        with torch.no_grad():
            for slow, fast in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
                slow.lerp_(fast, 1 - 0.5 ** (recipe.batch / half_life))
        return losses

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        parts = {name: getattr(self, name).state_dict() for name in self._parts}
        return parts | {"path_mean": self.path_mean, "step": self.step, "sizes": asdict(self.recipe.sizes)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there. Raises CheckpointError for the state of a network of other sizes."""
        if state.get("sizes") != asdict(self.recipe.sizes):
            raise CheckpointError(
                f"state: {STATE} is of a network of sizes {state.get('sizes')}, not {asdict(self.recipe.sizes)}: "
                "give the flags of that run, or another --out"
            )
        for name in self._parts:
            getattr(self, name).load_state_dict(state[name])
        self.path_mean, self.step = state["path_mean"].to(self.device), int(state["step"])

    _parts = ("generator", "discriminator", "ema", "generator_adam", "discriminator_adam")


def _descend(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    adam.step()


@torch.inference_mode()
def sample_sheet(network: Generator, count: int = 32, seed: int = 0) -> Image.Image:
    """Pictures of `count` latents, eight a row, at twice their size."""
    chance = torch.Generator().manual_seed(seed)
    w_BS = network.map(torch.randn(count, network.sizes.style, generator=chance).to(network.input.input))
    noise = network.draw_noise(count, chance)
    drawn = [Image.fromarray(frame) for frame in to_pixels(network(network.spread(w_BS), noise))]
    larger = [picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST) for picture in drawn]
    return contact_sheet([Tile(picture) for picture in larger], 8, Layout(gap=4, caption=0))


def _read_state(path: Path, device: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(action="ignore"):
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"state: {path} is damaged: remove it to begin anew") from error
    return state


def checkpoint(run: Course, out: Path) -> None:
    """Averaged weights, state and a sheet of samples, each whole or not at all."""
    facts = {"images": run.step * run.recipe.batch, "seed": run.recipe.seed}
    save_generator(run.ema, out / WEIGHTS, facts)
    part = out / "state.part"
    torch.save(run.state(), part)
    part.replace(out / STATE)
    part = out / "samples.part"
    sample_sheet(run.ema).save(part, "PNG")
    part.replace(out / "samples.png")


def train(recipe: Recipe, source: pictures.Pictures, out: Path, *, device: str = "cpu", every: int = 200) -> Generator:
    """Train to the recipe's end, with a checkpoint every `every` steps; the averaged network."""
    out.mkdir(parents=True, exist_ok=True)
    run = Course(recipe, device)
    if (out / STATE).exists():
        run.restore(_read_state(out / STATE, device))
        log.info("going on from step %d of %d", run.step, recipe.steps)
    begin, first = time.monotonic(), run.step
    while run.step < recipe.steps:
        losses = run.advance(source)
        if not all(map(math.isfinite, losses)):
            raise CheckpointError(f"training: the loss is {losses} at step {run.step}: lower --rate, or raise --r1")
        if run.step % every == 0 or run.step == recipe.steps:
            checkpoint(run, out)
            left = (time.monotonic() - begin) / (run.step - first) * (recipe.steps - run.step)
            form = "step %d of %d, losses %.3f and %.3f, %.1f minutes left"
            log.info(form, run.step, recipe.steps, *losses, left / 60)
    return run.ema


def main() -> None:
    """Read the flags and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, samples and state")
    parser.add_argument("--data", type=Path, help="folder of pictures; the embedded train photographs without it")
    parser.add_argument("--categories", nargs="*", default=[], help="of the embedded photographs; all without it")
    parser.add_argument("--wavelet", action="store_true", help="draw in wavelets (SWAGAN)")
    parser.add_argument("--device", choices=devices(), default="cpu", help="where to train (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the CPU (default %(default)d)")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints (default %(default)d)")
    parser.add_argument("--widths", type=int, nargs="+", default=Recipe.widths, help="channels at 4, 8, 16, ... pixels")
    parser.add_argument("--augment", nargs="*", choices=list(STEPS), default=list(STEPS), help="all steps without it")
    numbers = [field for field in fields(Recipe) if isinstance(field.default, int | float) and field.name != "wavelet"]
    for field in numbers:
        parser.add_argument(
            f"--{_flag(field.name)}", type=type(field.default), default=field.default, help=_told(field.name)
        )
    flags = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(max(1, flags.threads))
    drawn = {field.name: getattr(flags, field.name) for field in numbers}
    try:
        recipe = Recipe(wavelet=flags.wavelet, widths=tuple(flags.widths), augment=tuple(flags.augment), **drawn)
        paths = pictures.paths_of(flags.data) if flags.data else pictures.embedded_paths(flags.categories)
        source = pictures.Pictures(paths, recipe.side, recipe.closest)
        train(recipe, source, flags.out, device=flags.device, every=max(1, flags.every))
    except (SubnetError, OSError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
