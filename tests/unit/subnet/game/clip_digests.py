"""Digests of encoded clips of many sizes, for a process whose memory is filled with something."""

from __future__ import annotations

import hashlib
import sys

import numpy as np

from subnet.codec.video import encode_video
from subnet.types import Media

SIZES = ((32, 46), (32, 48), (32, 62), (64, 64), (128, 130), (256, 142), (256, 256))

if __name__ == "__main__":
    for height, width in SIZES:
        rows, columns = np.mgrid[:height, :width]
        moving = [90 + 80 * np.sin((columns + step) / 7) + rows / 3 for step in range(4)]
        grain = np.random.default_rng(1).integers(0, 9, (4, height, width, 3))
        frames = (np.stack(moving)[..., None] + grain).clip(0, 255).astype(np.uint8)
        sys.stdout.write(hashlib.sha256(encode_video(Media(frames, 12.0), 30)).hexdigest() + "\n")
