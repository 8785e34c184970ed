"""Whether pixels were computed from others on a regular raster: the trace that enlarging and turning leave.

A pixel that was interpolated is closer to what its neighbours predict, and how close repeats with the raster: the error
of a fixed predictor has lines in its spectrum (Gallagher 2005; Kirchner 2008). Scaling acts alike along both axes, so
that a line counts only where both have it; repeated things in a picture rarely do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neurons.provenance.clue import Clue, State
from subnet.types import Frames

Floats = NDArray[np.float64]

THRESHOLD: Final = 8.0  # times the usual height of the spectrum, along both axes
SMALLEST: Final = 192  # pixels along the shorter side
_SIDE: Final = 1024  # pixels of the middle that is looked at
_POINTS: Final = 4096  # of a spectrum
_LOWEST, _HIGHEST = 0.03, 0.485  # cycles a pixel; at one half there is the raster of the sensor
_GRID, _NEAR = 16, 0.006  # blocks of JPEG leave lines at multiples of 1 / 8, of WebP, AVIF and HEIC of 1 / 16
_WINDOW: Final = 301  # points of the spectrum that its usual height is taken from
_LUMA: Final = np.array([0.299, 0.587, 0.114])
_PROVES: Final = (
    "Found, the picture was enlarged, shrunk a little, or turned since it was captured or made, as editors, cameras "
    "with digital zoom and websites do, and up-sampling within a generator can; missing, it says nothing, since strong "
    "compression and shrinking hide it."
)


@dataclass(frozen=True)
class Line:
    """A line of the spectrum: `strength` over its usual height along the weaker axis, at `frequency` cycles a pixel."""

    strength: float
    frequency: float


def strongest_line(frame: Frames) -> Line | None:
    """The strongest line that both axes of a picture (H, W, 3) have; None for one that is too small."""
    height, width = frame.shape[:2]
    if min(height, width) < SMALLEST:
        return None
    down, across = (max(0, (side - _SIDE) // 2) for side in (height, width))
    luma = frame[down : down + _SIDE, across : across + _SIDE] @ _LUMA
    near = _nearness(luma)
    both = np.minimum(_relief(near.mean(axis=0)), _relief(near.mean(axis=1)))
    frequencies = np.arange(len(both)) / _POINTS
    off_grid = np.abs(frequencies - np.round(frequencies * _GRID) / _GRID) >= _NEAR
    both[~(off_grid & (frequencies >= _LOWEST) & (frequencies <= _HIGHEST))] = 0
    best = int(np.argmax(both))
    return Line(float(both[best]), float(frequencies[best]))


def rescaled(frame: Frames) -> Clue:
    """Whether a picture (H, W, 3) was rescaled."""
    name = "rescaling"
    line = strongest_line(frame)
    if line is None:
        return Clue(name, State.NOT_READ, f"Below {SMALLEST} pixels on a side there is too little to tell.", _PROVES)
    height = f"{line.strength:.1f} times the usual height; the line is drawn at {THRESHOLD:g}"
    facts: tuple[tuple[str, str], ...] = (("strongest line", height),)
    if line.strength < THRESHOLD:
        return Clue(name, State.NOTHING, "No trace of rescaling.", _PROVES, facts)
    facts += (("period", f"{1 / line.frequency:.2f} pixels"),)
    return Clue(name, State.FOUND, "Its pixels were computed from others on another raster.", _PROVES, facts)


def _nearness(luma: Floats) -> Floats:
    """How well each pixel (H, W) is predicted by its eight neighbours, 1 where exactly (Kirchner's coefficients)."""
    sides = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    corners = luma[:-2, :-2] + luma[:-2, 2:] + luma[2:, :-2] + luma[2:, 2:]
    error = luma[1:-1, 1:-1] - (0.5 * sides - 0.25 * corners)
    near: Floats = np.exp(-np.abs(error))
    return near


def _relief(profile: Floats) -> Floats:
    """The spectrum of a profile over its own usual height nearby."""
    window = np.hanning(len(profile))
    spectrum = np.abs(np.fft.rfft((profile - profile.mean()) * window, _POINTS))
    padded = np.pad(spectrum, _WINDOW // 2, mode="reflect")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1)
    relief: Floats = spectrum / np.maximum(usual, 1e-12)
    return relief
