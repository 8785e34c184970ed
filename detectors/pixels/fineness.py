"""How fine the detail of a picture is: what it holds of the frequencies that its pixels have room for.

A picture that was enlarged by f holds next to nothing above 1 / (2 f) cycles a pixel, and what an encoder adds there is
no detail; the same is true of one that is out of focus, or written with a very low quality. Detectors that compare
neighbouring pixels see there what a generator's up-sampling leaves, too, and cannot tell one from the other.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subnet.types import Frames

FINE, MIDDLE = (0.32, 0.40), (0.16, 0.24)  # cycles a pixel, along that axis along which there are more
_GRID, _NEAR = 8, 0.0075  # JPEG's blocks leave lines at multiples of 1 / 8, and that near to them
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_FRAMES = 4  # of a clip
Bools = NDArray[np.bool_]


def fineness(frames: Frames) -> float:
    """Decades of mean power, fine over middle, of frames (T, H, W, 3): the median of some of them.

    About -0.7 for a sharp photograph; -1.3 and less where the finest band is empty; 0 for an even picture.
    """
    looked_at = frames[:: max(1, len(frames) // _FRAMES)]
    return float(np.median([_of_frame(frame) for frame in looked_at]))


def _of_frame(frame: Frames) -> float:
    height, width = frame.shape[:2]
    luma = frame @ _LUMA
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = np.abs(np.fft.rfft2((luma - luma.mean()) * window)) ** 2
    fine, middle = (float(power[band].mean()) for band in _bands(height, width))
    return float(np.log10((fine + 1) / (middle + 1)))


@cache
def _bands(height: int, width: int) -> tuple[Bools, Bools]:
    """Which of the frequencies of a real transform lie in the fine band, and which in the middle one."""
    down, across = np.abs(np.fft.fftfreq(height))[:, None], np.fft.rfftfreq(width)[None]
    highest = np.maximum(down, across)
    free = _off_grid(down) & _off_grid(across)
    fine, middle = (free & (highest >= low) & (highest < high) for low, high in (FINE, MIDDLE))
    return fine, middle


def _off_grid(frequencies: NDArray[np.floating[Any]]) -> Bools:
    off: Bools = np.abs(frequencies - np.round(frequencies * _GRID) / _GRID) >= _NEAR
    return off
