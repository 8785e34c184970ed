"""A maker for the test of production on Ray: slow enough to be killed at work, and known by its process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from subnet.media.pool.producer import Make
from subnet.types import Label, Media, Provenance, Sample


def noise(pids: str, seconds: float) -> Make:
    """Noise pictures, a function of `rng` alone; the process leaves its number in the folder `pids`."""
    (Path(pids) / str(os.getpid())).touch()

    def make(rng: np.random.Generator) -> Sample:
        time.sleep(seconds)
        frames = rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
        seed = int(rng.integers(2**32))
        return Sample(Media(frames), Label.SYNTHETIC, Provenance("noise", str(seed), model="noise", seed=seed))

    return make


def broken() -> Make:
    """A model whose weights cannot be read."""
    raise OSError("no such weights")
