"""Pictures out of a trained StyleGAN2: `python -m generators.stylegan.drawing WEIGHTS --out DIR --count 100`.

WEIGHTS is what `generators.training.stylegan` wrote, or a checkpoint of the public PyTorch layout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generators.embedded.autoencoder import to_pixels
from generators.library_errors import typed_errors
from generators.stylegan.loading import load_generator
from generators.stylegan.network import Generator
from subnet.codec.image import encode_png
from subnet.errors import SettingsError, SubnetError
from subnet.files import write_atomically
from subnet.types import JSON, Frames, Label, Media, Modality, Provenance, Sample

SIDE = 256  # of a picture in the game; smaller ones are enlarged by a whole factor
MEAN_OF = 4096  # latents whose mean style truncation leads to
log = logging.getLogger(__name__)


class StyleGan:
    """Unconditional pictures: a sample for each prompt, whatever it says, since the network was trained without words.

    `truncation` from 0 to 1 is how far styles stay from their mean: less makes pictures more alike, and better.
    """

    modality = Modality.IMAGE

    def __init__(
        self,
        network: Generator,
        *,
        name: str = "stylegan",
        weights: str = "",
        licence: str = "unknown",
        truncation: float = 1.0,
    ) -> None:
        if not 0 <= truncation <= 1:
            raise SettingsError(f"--truncation: from 0 (one picture) to 1 (all of them), not {truncation:g}")
        self.name, self.network, self.weights, self.licence = name, network, weights, licence
        self.truncation = truncation
        self._mean_S = self._styles(torch.Generator().manual_seed(0), MEAN_OF).mean(0)

    def generate(self, prompts: Sequence[str], rng: np.random.Generator) -> list[Sample]:
        """One picture per prompt. Everything random about it comes from the seed in its provenance."""
        seeds = [int(rng.integers(2**53)) for _ in prompts]
        with typed_errors(f"the generator {self.name}"):
            return [self._sample(seed) for seed in seeds]

    def _sample(self, seed: int) -> Sample:
        sizes = self.network.sizes
        parameters: dict[str, JSON] = {
            "weights": self.weights,
            "truncation": self.truncation,
            "form": "wavelet" if sizes.wavelet else "plain",
            "drawn": sizes.side,
        }
        about = Provenance(self.name, f"{seed:014x}", self.licence, self.name, None, seed, parameters)
        return Sample(Media(enlarged(self.draw(seed))), Label.SYNTHETIC, about)

    @torch.inference_mode()
    def draw(self, seed: int) -> Frames:
        """One picture at the network's own size, uint8 (1, H, W, 3): a function of the seed."""
        chance = torch.Generator().manual_seed(seed)
        w_BS = self._mean_S.lerp(self._styles(chance, 1), self.truncation)
        return to_pixels(self.network(self.network.spread(w_BS), self.network.draw_noise(1, chance)))

    @torch.inference_mode()
    def _styles(self, chance: torch.Generator, count: int) -> Tensor:
        z_BS = torch.randn(count, self.network.sizes.style, generator=chance)
        return self.network.map(z_BS.to(self.network.input.input))


def enlarged(frames: Frames) -> Frames:
    """The picture, by the whole factor that brings its side nearest to `SIDE` from below; larger ones as they are."""
    factor = max(1, SIDE // frames.shape[1])
    picture = Image.fromarray(frames[0])
    size = (factor * picture.width, factor * picture.height)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))[None]


def devices() -> list[str]:
    """Where networks can work here."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def load(path: Path, *, device: str = "cpu", truncation: float = 1.0) -> StyleGan:
    """The generator in a file. Raises CheckpointError and SettingsError."""
    network = load_generator(path, device)
    weights = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return StyleGan(network, weights=weights, truncation=truncation)


def write(maker: StyleGan, out: Path, count: int, seed: int) -> None:
    """`count` pictures as PNG below `out`, each with its provenance as JSON: the same files for the same seed.

    Raises SettingsError for a count or seed that is none.
    """
    if count < 1 or seed < 0:
        raise SettingsError(f"--count and --seed: at least 1 and 0, not {count} and {seed}")
    out.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (sample,) = maker.generate([""], np.random.default_rng([seed, number]))
        file = out / f"{maker.name}-{seed}-{number:06d}.png"
        about = asdict(sample.provenance)
        write_atomically(file.with_suffix(".json"), (json.dumps(about, indent=2) + "\n").encode())
        write_atomically(file, encode_png(sample.media))


def main() -> None:
    """Read the flags and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="a generator: safetensors, or rosinality's layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures")
    parser.add_argument("--count", type=int, default=16, help="pictures (default %(default)d)")
    parser.add_argument("--seed", type=int, default=0, help="of the latents (default %(default)d)")
    parser.add_argument(
        "--truncation", type=float, default=1.0, help="how far styles lie from their mean (default %(default)g)"
    )
    parser.add_argument("--device", choices=devices(), default="cpu", help="where to draw (default %(default)s)")
    flags = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        maker = load(flags.weights, device=flags.device, truncation=flags.truncation)
        write(maker, flags.out, flags.count, flags.seed)
    except (SubnetError, OSError) as error:
        raise SystemExit(str(error)) from error
    log.info("%d pictures of %d pixels in %s", flags.count, maker.network.sizes.side, flags.out)


if __name__ == "__main__":
    main()
