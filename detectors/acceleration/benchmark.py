"""Images or clips a second of a detector: plainly, one by one, and as the miner serves it, in the same run.

Rounds of both take turns, so that other load on the machine meets both; each side reports its best round.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors.acceleration.accelerate import accelerated, backend_of, drift
from detectors.acceleration.options import Backend
from subnet.codec import image as codec
from subnet.game.variant import variant_frames
from subnet.media import embedded
from subnet.protocols import Detector
from subnet.types import Media, Modality, Split


@dataclass(frozen=True)
class Throughput:
    """Items a second, eager fp32 one by one (`plain`) and served (`served`); `moved` is the largest change of a score.

    The processor's seconds per item tell more than the clock's where other jobs share the machine.
    """

    detector: str
    backend: str
    plain: float
    served: float
    plain_cpu: float
    served_cpu: float
    moved: float

    @property
    def speedup(self) -> float:
        return self.served / self.plain


def examples(modality: Modality, count: int, *, seed: int = 0) -> list[Media]:
    """Embedded validation media as a miner sees them, at levels in turn."""
    items = embedded.items(modality, Split.VALIDATION)
    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        data = embedded.path(items[number % len(items)]).read_bytes()
        media = codec.decode_image(data) if modality is Modality.IMAGE else codec.decode_video(data)
        media = codec.normalise(Media(media.frames[:16], media.fps), rng)
        found.append(variant_frames(media, number % 4, rng))
    return found


def throughput(
    detector: Detector,
    media: Sequence[Media],
    *,
    backend: Backend | None = None,
    rounds: int = 3,
    cache: Path | None = None,
) -> Throughput:
    """Measure `detector` as it was loaded, one item at a time, beside its accelerated form with all items at once."""
    fast = accelerated(detector, backend, cache=cache)
    moved = drift(detector, fast, media)
    best = [[float("inf")] * 2, [float("inf")] * 2]
    for _ in range(rounds):
        for side, (who, batches) in enumerate(((detector, [[each] for each in media]), (fast, [list(media)]))):
            wall, cpu = time.perf_counter(), time.process_time()
            for batch in batches:
                who.predict(batch)
            best[side][0] = min(best[side][0], time.perf_counter() - wall)
            best[side][1] = min(best[side][1], time.process_time() - cpu)
    count = len(media)
    chosen = backend_of(fast)
    return Throughput(
        detector.name,
        str(chosen) if chosen else "as it is",
        count / best[0][0],
        count / best[1][0],
        best[0][1] / count,
        best[1][1] / count,
        moved,
    )
