"""Bits that must not move: the same seed plans the same rounds and makes the same pictures, today and next year.

What is pinned holds for the locked versions of NumPy, Pillow, libjpeg-turbo, libwebp and x264. Whoever changes a digest
changes what every validator asks, and says so in the CHANGELOG.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from subnet.game import operators as op
from subnet.game.augment import DISTORTIONS, LEVELS, OPERATORS, augment, distort
from subnet.game.sampling import Sampling, plan
from subnet.game.variant import variant
from subnet.types import Challenge, Frames, Label, Media, Modality, Neuron, Provenance, Sample

ON_X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="pinned on x86-64")


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def clip(count: int = 2, height: int = 30, width: int = 45) -> Frames:
    """Smooth colours, an edge and some grain: every operator has something to do."""
    y, x = np.mgrid[:height, :width]
    frames = [
        np.stack([90 + 80 * np.sin((x + t) / 7), 80 + 100 * (x > width / 3), 60 + 150 * y / height], axis=-1)
        for t in range(count)
    ]
    return (np.stack(frames) + rng(1).integers(0, 9, (count, height, width, 1))).clip(0, 255).astype(np.uint8)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


PICTURES: dict[str, Callable[[], Frames]] = {
    **{f"operator {name}": lambda name=name: OPERATORS[name](rng(), clip()) for name in OPERATORS},  # type: ignore[misc]
    **{
        f"distortion {name} {strength}": lambda name=name, strength=strength: distort(clip(), name, strength, rng())  # type: ignore[misc]
        for name in DISTORTIONS
        for strength in (0.35, 1.0)
    },
    **{
        f"level {level} {'video' if video else 'image'} {seed}": lambda level=level, video=video, seed=seed: augment(  # type: ignore[misc]
            clip(), level, rng(seed), video=video
        )
        for level in LEVELS
        for video in (False, True)
        for seed in (0, 1)
    },
    "crop in a corner": lambda: op.crop(clip(), 0.4, 0.9, 0.1),
    "crop by the nearest": lambda: op.crop(clip(), 0.4, 0.9, 0.1, op.FILTERS[3]),
    "rescale by boxes": lambda: op.rescale(clip(), 0.37, op.FILTERS[3], op.FILTERS[2]),
    "rescale to a point": lambda: op.rescale(clip(), 0.001),
    "turned upright": lambda: op.rotate(clip(), -33.0),
    "H.264 of one odd frame": lambda: op.h264(clip(1, 31, 43), 30),
    "tone": lambda: op.tone(clip(), 1.3, (0.9, 1.0, 1.2)),
}
PINNED = {
    "operator rotate": "7380a86ef93c0fb6",
    "operator crop": "d0b0fec8f4bf6a23",
    "operator mirror": "e208561bc2ed9c1a",
    "operator upend": "6c0018bf41195c93",
    "operator saturation": "de22cc7db1f0ca57",
    "operator contrast": "d658319a134ca156",
    "operator jpeg": "132734b338a3a47c",
    "operator h264": "c736479f54f6820a",
    "operator saturation-strong": "acf674cb4714bfb5",
    "operator contrast-strong": "3195fa674bd2e14d",
    "operator rescale": "eb270ec4bd8cb37a",
    "operator blur": "8cade1973029960f",
    "operator noise": "403b750fd75b03c0",
    "operator screenshot": "eb9b8c8dad26a609",
    "operator jpeg-strong": "166297b6c90dfb87",
    "operator h264-strong": "a1003f45aa3c0e45",
    "distortion jpeg 0.35": "a4c0e8b1b03d433f",
    "distortion jpeg 1.0": "6e21a38c32582f83",
    "distortion webp 0.35": "f7fed6a4643e60a0",
    "distortion webp 1.0": "4bf1a03fb7f31676",
    "distortion resize 0.35": "74201c7ff7996b2e",
    "distortion resize 1.0": "815baf2d54619fde",
    "distortion blur 0.35": "d17daf5a7a56be45",
    "distortion blur 1.0": "f70dd2bd2671fb62",
    "distortion noise 0.35": "6ac2f1a39126235e",
    "distortion noise 1.0": "6a6b2c1d2b8ee57d",
    "distortion crop 0.35": "489b5666e1d42a2c",
    "distortion crop 1.0": "87b7fdfe2c182106",
    "distortion screenshot 0.35": "02baba11ac7003f4",
    "distortion screenshot 1.0": "91a9687f7d2b07bf",
    "distortion h264 0.35": "5ac271ab8f2dbe80",
    "distortion h264 1.0": "069fb1c4e586463d",
    "level 0 image 0": "6df53c25d9d99b7a",
    "level 0 image 1": "6df53c25d9d99b7a",
    "level 0 video 0": "6df53c25d9d99b7a",
    "level 0 video 1": "6df53c25d9d99b7a",
    "level 1 image 0": "231284834945d72f",
    "level 1 image 1": "cb15607d3a26a3dd",
    "level 1 video 0": "231284834945d72f",
    "level 1 video 1": "cb15607d3a26a3dd",
    "level 2 image 0": "24c84f3e370a9988",
    "level 2 image 1": "2ca52dbd55a70b3a",
    "level 2 video 0": "96134cfee98caddc",
    "level 2 video 1": "e49d0fd6bdadeea8",
    "level 3 image 0": "e00df4b97a8ce218",
    "level 3 image 1": "3f6efd24ae533ea2",
    "level 3 video 0": "e000a3b57d5e6940",
    "level 3 video 1": "46924a129b86e14e",
    "crop in a corner": "82f8634a84d6f516",
    "crop by the nearest": "e4a254c32a7471dd",
    "rescale by boxes": "7c1272867d589c06",
    "rescale to a point": "ee9578b6bd9e77da",
    "turned upright": "1c755c3abdc235f2",
    "H.264 of one odd frame": "a41e7041b193d24e",
    "tone": "f0fe794cde0254b2",
}


@ON_X86
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_the_same_to_the_bit(name: str) -> None:
    """Every operator, distortion and level gives the pixels it always gave."""
    assert digest(PICTURES[name]().tobytes()) == PINNED[name]


BODIES = {
    ("image", 0): "5d851aee32c5bce2",
    ("image", 1): "95956f7381d1269f",
    ("image", 2): "7c484e3782db6605",
    ("image", 3): "37bf946cc0386616",
    ("video", 0): "5e51f03940616978",
    ("video", 3): "1cd9aa988df81199",
}


@ON_X86
@pytest.mark.parametrize(("kind", "level"), BODIES)
def test_bodies_are_the_same_to_the_byte(kind: str, level: int) -> None:
    """What a hotkey is sent for a seed is what it was always sent."""
    media = Media(clip(3, 32, 46), 12.0) if kind == "video" else Media(clip(1, 32, 46))
    challenge = Challenge("c", Sample(media, Label.REAL, Provenance("folder", "item")), 42, level)
    assert digest(variant(challenge, "alice").body) == BODIES[kind, level]


def test_plans_are_the_same() -> None:
    """Three hundred rounds of a seed, with all their parts."""
    origins = {(m, label): {"a": 1.0, "b": 3.0, "c": 0.5} for m in Modality for label in Label}
    settings = Sampling(
        sample_size=3, level_weights=(1, 2, 3, 4), synthetic_share=0.4, video_share=0.1, origins=origins
    )
    miners = [Neuron(n, f"hotkey-{n}", "cold", 0.0, False) for n in range(7)]
    rounds = [plan(2**100 + 7, number, settings, miners) for number in range(300)]
    told = [repr(planned).removesuffix(", real=frozenset())") + ")" for planned in rounds]  # as before there were twins
    assert digest("\n".join(told).encode()) == "26d969c0607bec63"
    twins = [plan(2**100 + 7, number, replace(settings, twin_share=0.3), miners) for number in range(300)]
    halves = [f"{p.label.name} {p.origin} {sorted(p.real)}" for p in twins]
    assert digest("\n".join(halves).encode()) == "4f4ecfec57a8fd53"


@ON_X86
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="what is left in memory is set by glibc's MALLOC_PERTURB_"
)
def test_clips_do_not_hang_on_what_was_in_memory() -> None:
    """Whatever stands in memory that nobody wrote, a clip of any size is encoded to the same bytes."""
    found = set()
    for left in (0, 17, 170, 255):
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.subnet.game.clip_digests"],
            env={**os.environ, "MALLOC_PERTURB_": str(left)},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        found.add(done.stdout)
    assert len(found) == 1
