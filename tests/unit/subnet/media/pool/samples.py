"""Samples to store: small enough to be quick, rich enough to be compared."""

from __future__ import annotations

import numpy as np

from subnet.types import Label, Media, Provenance, Sample


def make_sample(n: int = 0, *, label: Label = Label.REAL, origin: str = "photos", frames: int = 1) -> Sample:
    """Random 256x256 noise that depends on `n` alone; more than one frame makes a video."""
    rng = np.random.default_rng(n)
    pixels = rng.integers(0, 256, (frames, 256, 256, 3), dtype=np.uint8)
    model = origin if label is Label.SYNTHETIC else None
    provenance = Provenance(origin, f"item-{n}", "CC0-1.0", model=model, seed=n, parameters={"n": n})
    return Sample(Media(pixels, None if frames == 1 else 29.97), label, provenance)
