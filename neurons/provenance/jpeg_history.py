"""What a JPEG file's steps and coefficients tell: at which quality it was written, and whether it was JPEG before.

Saved twice on one grid of blocks with different steps, coefficients lie where multiples of the first steps fall between
those of the second: some values are too frequent, others are missing, in a period (Lukas & Fridrich 2003; Popescu &
Farid 2004). Here each of some low frequencies is asked how much better one of the possible first steps explains its
histogram than none does. Tables by quality: ITU-T T.81 annex K, scaled as the Independent JPEG Group's library does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.special import ndtr

from neurons.provenance.clue import Clue, State

Floats = NDArray[np.float64]
Table = tuple[int, ...]

LUMINANCE: Final = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)  # at quality 50
PLACES: Final = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1))  # of frequencies: down, across
THRESHOLD: Final = 0.04  # nats a coefficient, the median over places
_SIDE: Final = 1536  # pixels of the middle that is looked at
_FEWEST: Final = 400  # coefficients at a place that are not zero
_LARGEST: Final = 40  # steps away from zero
_COARSEST: Final = 60  # first steps that are tried
_NOISE: Final = 0.6  # of a coefficient between two savings: pixels are rounded in between
_FLOOR: Final = 0.02  # of the counts are where no multiple falls
_PROVES_STEPS: Final = (
    "It tells how strongly the file was compressed when it was saved last; cameras, phones and editors have tables of "
    "their own."
)
_PROVES_TWICE: Final = (
    "Found, the picture was a JPEG before and was saved again in place, as editors and websites do; it does not show "
    "what was changed. Cropping, turning or scaling in between, or equal steps, hide it."
)


def scaled_table(quality: int) -> Table:
    """Steps of luminance at quality 1..100 of the Independent JPEG Group's library, row by row."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(255, max(1, (step * scale + 50) // 100)) for step in LUMINANCE)


def quality_of(table: Table) -> tuple[int, bool]:
    """The quality whose table is nearest in mean logarithm, and whether it is exactly that table."""
    logs = np.log(np.maximum(table, 1))
    distance = [float(np.abs(logs - np.log(scaled_table(quality))).mean()) for quality in range(1, 101)]
    best = int(np.argmin(distance)) + 1
    return best, scaled_table(best) == tuple(table)


def steps(tables: tuple[Table, ...]) -> Clue:
    """At which quality a JPEG file was written, by its table of luminance."""
    name = "JPEG quality"
    if not tables or len(tables[0]) != 64:
        return Clue(name, State.NOTHING, "The file is not a JPEG.", _PROVES_STEPS)
    quality, exact = quality_of(tables[0])
    says = f"Written at quality {quality} of 100 by the common library or one like it."
    if not exact:
        says = (
            f"Written with tables of its own, as cameras and editors have, about as fine as quality {quality} of 100."
        )
    return Clue(name, State.FOUND, says, _PROVES_STEPS, (("first row of steps", " ".join(map(str, tables[0][:8]))),))


@dataclass(frozen=True)
class Twice:
    """`gain` is how much better an earlier step explains a coefficient, in nats (the median over places); `first` are
    these steps by place, 0 where none is better."""

    gain: float
    first: tuple[int, ...]


def saved_twice(body: bytes, table: Table) -> Twice | None:
    """Look for steps of an earlier saving in a JPEG file whose luminance has the steps `table`.

    None where there are too few coefficients to tell. Raises ValueError and KeyError for what cannot be decoded.
    """
    luma = simplejpeg.decode_jpeg(body, "GRAY")[..., 0]
    blocks = _blocks(luma)
    if not len(blocks):
        return None
    spectrum = dctn(blocks - 128.0, axes=(1, 2), norm="ortho")
    found = []
    for down, across in PLACES:
        step = table[8 * down + across]
        counts = _counts(spectrum[:, down, across], step)
        if counts.sum() >= _FEWEST:
            found.append((step, *_first_step(counts, step)))
    if len(found) < 3:
        return None
    first = tuple(candidate if gain > THRESHOLD else 0 for _, candidate, gain in found)
    return Twice(float(np.median([gain for *_, gain in found])), first)


def twice(body: bytes, tables: tuple[Table, ...]) -> Clue:
    """Whether a JPEG file was saved as JPEG before, in place."""
    name = "saved as JPEG before"
    if not tables or len(tables[0]) != 64:
        return Clue(name, State.NOTHING, "The file is not a JPEG.", _PROVES_TWICE)
    try:
        found = saved_twice(body, tables[0])
    except (ValueError, KeyError):
        found = None
    if found is None:
        return Clue(name, State.NOT_READ, "There is too little detail in it to tell.", _PROVES_TWICE)
    facts: tuple[tuple[str, str], ...] = (("gain", f"{found.gain:.4f} nats a coefficient; the line is {THRESHOLD}"),)
    if found.gain <= THRESHOLD:
        return Clue(name, State.NOTHING, "No trace of an earlier saving on the same grid.", _PROVES_TWICE, facts)
    facts += (("earlier steps", " ".join(str(step or "?") for step in found.first)),)
    return Clue(name, State.FOUND, "It was saved as JPEG before, with other steps.", _PROVES_TWICE, facts)


def _blocks(luma: NDArray[np.uint8]) -> Floats:
    """(N, 8, 8) of the middle, on the file's grid, without those that touch black or white, where values are cut."""
    height, width = (min(side, _SIDE) // 8 * 8 for side in luma.shape)
    top, left = ((side - kept) // 2 // 8 * 8 for side, kept in zip(luma.shape, (height, width), strict=True))
    middle = luma[top : top + height, left : left + width]
    blocks = middle.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    sound = (blocks.min(axis=(1, 2)) > 0) & (blocks.max(axis=(1, 2)) < 255)
    kept: Floats = blocks[sound].astype(np.float64)
    return kept


def _counts(values: Floats, step: int) -> Floats:
    """How often coefficients lie 1, 2, ... steps from zero, to either side."""
    away = np.abs(np.rint(values / step)).astype(np.int64)
    return np.bincount(away, minlength=_LARGEST + 1)[1 : _LARGEST + 1].astype(np.float64)


def _first_step(counts: Floats, step: int) -> tuple[int, float]:
    """The earlier step that explains `counts` best, and by how many nats a coefficient better than none does."""
    shares = counts / counts.sum()
    alone = _fit(shares, np.ones(len(counts)))
    gains = [_fit(shares, pattern) - alone for pattern in _patterns(step)]
    best = int(np.argmax(gains))
    return best + 1, gains[best]


def _fit(shares: Floats, pattern: Floats) -> float:
    """The mean log-likelihood of the best of some falling curves, times `pattern`."""
    weights = _curves() * pattern
    logs = np.log(weights / weights.sum(axis=1, keepdims=True))
    return float((logs @ shares).max())


@cache
def _curves() -> Floats:
    """exp(-a k^g) at k = 1, 2, ... for many a and some g: how coefficients of pictures fall off."""
    at = np.arange(1, _LARGEST + 1, dtype=np.float64)
    powers = [at**power for power in (0.4, 0.6, 0.8, 1.0)]
    return np.stack([np.exp(-rate * each) for each in powers for rate in np.geomspace(0.02, 6.0, 60)])


@cache
def _patterns(step: int) -> tuple[Floats, ...]:
    """By earlier step 1, 2, ...: how much more often than evenly its multiples fall 1, 2, ... of `step` from zero."""
    edges = (np.arange(1, _LARGEST + 2) - 0.5) * step
    found = []
    for first in range(1, _COARSEST + 1):
        multiples = np.arange(0, edges[-1] + 2 * first, first)
        below = ndtr((edges[:, None] - multiples) / _NOISE).sum(axis=1)
        found.append(np.diff(below) * first / step + _FLOOR)
    return tuple(found)
