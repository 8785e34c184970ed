"""How fine the detail of a picture is: what it holds of the frequencies that its pixels have room for.

A picture that was enlarged by f holds next to nothing above 1 / (2 f) cycles a pixel, and what an encoder adds there is
no detail; the same is true of one that is out of focus, or written with a very low quality. Detectors that compare
neighbouring pixels see there what a generator's up-sampling leaves, too, and cannot tell one from the other.

The fine band is compared with the middle one, and that with the one an octave below: enlarged by more than 2.5 a
picture holds nothing in the middle either, and both alone would be as empty. Photographs' power falls with the square
to the cube of the frequency (Field 1987; Burton & Moorhead 1987), so that an eighth of the coarse band is the least
that is expected in the middle.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subnet.types import Frames

FINE, MIDDLE, COARSE = (0.32, 0.40), (0.16, 0.24), (0.08, 0.12)  # cycles a pixel, along the axis with more of them
_OCTAVE = 1 / 8  # of the power is left an octave higher
_GRID, _NEAR = 8, 0.0075  # JPEG's blocks leave lines at multiples of 1 / 8, and that near to them
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_FRAMES = 4  # of a clip
Bools = NDArray[np.bool_]


def fineness(frames: Frames) -> float:
    """Decades of mean power, fine over what is expected in the middle, of frames (T, H, W, 3): the median of some.

    About -0.8 for a sharp photograph; -1.5 and less where the finest band is empty; 0 for an even picture.
    """
    looked_at = frames[:: max(1, len(frames) // _FRAMES)]
    return float(np.median([_of_frame(frame) for frame in looked_at]))


def _of_frame(frame: Frames) -> float:
    height, width = frame.shape[:2]
    luma = frame @ _LUMA
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = np.abs(np.fft.rfft2((luma - luma.mean()) * window)) ** 2
    fine, middle, coarse = (float(power[band].mean()) for band in _bands(height, width))
    return float(np.log10((fine + 1) / (max(middle, coarse * _OCTAVE) + 1)))


@cache
def _bands(height: int, width: int) -> tuple[Bools, Bools, Bools]:
    """Which of the frequencies of a real transform lie in the fine band, which in the middle, which in the coarse."""
    down, across = np.abs(np.fft.fftfreq(height))[:, None], np.fft.rfftfreq(width)[None]
    highest = np.maximum(down, across)
    free = _off_grid(down) & _off_grid(across)
    fine, middle, coarse = (free & (highest >= low) & (highest < high) for low, high in (FINE, MIDDLE, COARSE))
    return fine, middle, coarse


def _off_grid(frequencies: NDArray[np.floating[Any]]) -> Bools:
    off: Bools = np.abs(frequencies - np.round(frequencies * _GRID) / _GRID) >= _NEAR
    return off
