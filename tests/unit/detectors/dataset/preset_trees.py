"""Small copies of published layouts: a few pictures or clips in each folder that a preset names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from detectors.dataset.presets import Part, Preset
from subnet.codec import image as codec
from subnet.types import Media


def example(part: Part) -> str:
    """A path that a way stands for: the first of choices, no folder for `**`, and a plain word for what is free."""
    components = []
    for component in part.way.split("/"):
        if component == "**":
            continue
        first = component.split("|")[0].replace("<real>", "0_real").replace("<synthetic>", "1_fake")
        components.append(re.sub(r"[*?]", "1", first))
    return "/".join(components)


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (72, 72, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def clip(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (5, 72, 72, 3), dtype=np.uint8)
    path.write_bytes(codec.encode_video(Media(noise, 10.0), 20))


def write_tree(chosen: Preset, root: Path, files: int = 2) -> Path:
    """`files` files in each part of a preset."""
    for place, part in enumerate(chosen.parts):
        first = part.numbers[0] if part.numbers else 1
        for number in range(first, first + files):
            seed = 1000 * place + number
            if chosen.twins:
                other = number + 1 if number % 2 else number - 1
                stem = f"{number:03}" if part.label == 0 else f"{number:03}_{other:03}"
                clip(root / example(part) / f"{stem}.mp4", seed)
            else:
                picture(root / example(part) / f"{number:06}.png", seed)
    return root
