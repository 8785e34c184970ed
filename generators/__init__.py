"""Makers of synthetic media: small ones that ship with the package, and a catalog of large ones.

`TABLE` is the list of names; nothing heavy is imported, read or built before `load_generator` is called.
"""

from __future__ import annotations

from generators.catalog import CATALOG
from generators.catalog.vaes import VAE_ROWS
from generators.library_errors import typed_errors
from generators.rows import GeneratorRow, Range, Task
from subnet.protocols import Generator, Source
from subnet.registry import find, resolve, table
from subnet.types import Modality

RECONSTRUCTION = "generators.embedded.twins:reconstruction"
NOISE = {"noise": Range(0.0, 0.08)}

EMBEDDED = (
    GeneratorRow(
        name="ae-transposed",
        modality=Modality.IMAGE,
        task=Task.RECONSTRUCT,
        target=RECONSTRUCTION,
        embedded=True,
        family="transposed",
        ranges=NOISE,
        options={"decoder": "transposed"},
        note="a real picture through our autoencoder; enlarges by transposed convolution",
    ),
    GeneratorRow(
        name="ae-nearest",
        modality=Modality.IMAGE,
        task=Task.RECONSTRUCT,
        target=RECONSTRUCTION,
        embedded=True,
        family="nearest",
        ranges=NOISE,
        options={"decoder": "nearest"},
        note="a real picture through our autoencoder; enlarges by nearest neighbour and convolution",
    ),
    GeneratorRow(
        name="ae-shuffle",
        modality=Modality.IMAGE,
        task=Task.RECONSTRUCT,
        target=RECONSTRUCTION,
        embedded=True,
        family="shuffle",
        ranges=NOISE,
        options={"decoder": "shuffle"},
        note="a real picture through our autoencoder; enlarges by pixel shuffle",
    ),
    GeneratorRow(
        name="diffusion",
        modality=Modality.IMAGE,
        task=Task.IMAGE_TO_IMAGE,
        target="generators.embedded.tiny_diffusion:load_redrawing",
        embedded=True,
        family="diffusion",
        repository="generators/weights/tiny-diffusion",
        pipeline="StableDiffusionImg2ImgPipeline",
        ranges={"steps": Range(12, 24), "guidance": Range(1.0, 2.5), "strength": Range(0.1, 0.3)},
        options={"tokens": 24},
        note="a real picture noised and denoised by a small latent diffusion model, through the catalog's adapter",
    ),
    GeneratorRow(
        name="video-jitter",
        modality=Modality.VIDEO,
        task=Task.RECONSTRUCT,
        target="generators.embedded.clips:jitter",
        embedded=True,
        family="video-jitter",
        frames=Range(16, 16),
        ranges={"jitter": Range(0.02, 0.2), "memory": Range(0.0, 0.9), "sway": Range(0.0, 0.5)},
        note="a real clip through our autoencoder frame by frame, its latents trembling in time",
    ),
    GeneratorRow(
        name="video-latent",
        modality=Modality.VIDEO,
        task=Task.RECONSTRUCT,
        target="generators.embedded.clips:latent",
        embedded=True,
        family="video-latent",
        frames=Range(16, 16),
        ranges={
            "zoom": Range(-0.12, 0.12),
            "across": Range(-0.08, 0.08),
            "down": Range(-0.08, 0.08),
            "turn": Range(-0.05, 0.05),
            "noise": Range(0.0, 0.08),
            "gap": Range(2, 8),
        },
        note="a camera path between two frames of a real clip, in latent space",
    ),
)

TABLE: dict[str, GeneratorRow] = table((*EMBEDDED, *VAE_ROWS, *CATALOG.values()))


def load_generator(name: str, *, device: str = "cpu", reals: Source | None = None) -> Generator:
    """The generator called `name`, ready on `device`. `reals` gives the real media that some of them start from.

    Raises UnknownName with the nearest names, SettingsError where the generator needs `reals` and has none,
    CheckpointError for weights that are missing or do not fit, and GenerationError for all else that goes wrong.
    """
    row = find(TABLE, name, "generator")
    with typed_errors(f"generator {name!r} does not load"):
        generator: Generator = resolve(row.target)(row, device=device, reals=reals)
    return generator
