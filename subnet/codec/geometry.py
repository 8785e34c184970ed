"""What a container declares about the shape of its frames, and frames brought into it: cut, squared, shrunk, turned.

In the order of players: the clean aperture (`clap`) cuts, the pixel aspect ratio stretches the side that is short, the
display matrix turns or mirrors. Cuts of the bitstream itself (H.264 SPS) are made by its decoder before all this.
Where they disagree the container's pixel aspect wins over the bitstream's. Sources: ISO/IEC 14496-12 sections 8.3.2
and 12.1.4.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from subnet.types import Frames

UPRIGHT = (1, 0, 0, 1)
_ODDEST_PIXEL = 8  # a declared aspect beyond 8:1 or 1:8 is a mistake, not a lens
_MOST_BOXES = 10_000  # that are looked at beside each other
_SAMPLE_ENTRY = 86  # bytes of a visual sample entry before its boxes, its own header included


@dataclass(frozen=True)
class Aperture:
    """A clean aperture: size, and how far its centre lies right of and below the frame's, in stored pixels."""

    width: Fraction
    height: Fraction
    right: Fraction
    below: Fraction


@dataclass(frozen=True)
class Geometry:
    """`width` x `height` is what a stored frame is converted to; `box` (top, left, bottom, right) is kept of that.

    `matrix` (a, b, c, d) takes a point (x, y) to (a x + c y, b x + d y), y pointing down.
    """

    width: int
    height: int
    box: tuple[int, int, int, int]
    matrix: tuple[int, int, int, int] = UPRIGHT


def geometry(
    width: int,
    height: int,
    *,
    aspect: Fraction | None = None,
    aperture: Aperture | None = None,
    matrix: tuple[int, int, int, int] = UPRIGHT,
    most_pixels: int,
) -> Geometry:
    """For frames stored as `width` x `height` with pixels of `aspect` (width to height), at most `most_pixels` each."""
    ratio = float(aspect) if aspect and 1 / _ODDEST_PIXEL <= aspect <= _ODDEST_PIXEL else 1.0
    wide, high = width * max(ratio, 1.0), height * max(1 / ratio, 1.0)
    scale = min(1.0, math.sqrt(most_pixels / (wide * high)))
    to_width, to_height = max(1, int(wide * scale + 1e-6)), max(1, int(high * scale + 1e-6))
    box = (0, 0, to_height, to_width)
    if aperture is not None:
        left, right = _kept(width, aperture.width, aperture.right, to_width)
        top, bottom = _kept(height, aperture.height, aperture.below, to_height)
        box = (top, left, bottom, right)
    return Geometry(to_width, to_height, box, matrix)


def _kept(stored: int, clean: Fraction, shift: Fraction, converted: int) -> tuple[int, int]:
    """First and last pixel of one side that an aperture keeps, all of them where it keeps none."""
    scale, first = Fraction(converted, stored), shift + (stored - clean) / 2
    start, end = max(0, round(first * scale)), min(converted, round((first + clean) * scale))
    return (start, end) if end > start else (0, converted)


def upright(frame: Frames, shape: Geometry) -> Frames:
    """(height, width, 3) as players show it: by quarter turns and mirrors; other angles go to the nearest of these."""
    top, left, bottom, right = shape.box
    a, b, c, d = shape.matrix
    kept = frame[top:bottom, left:right]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        kept = kept[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    else:
        kept = kept.swapaxes(0, 1)[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1]
    return np.ascontiguousarray(kept)


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of a frame's display matrix, upright without one."""
    try:
        side = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # a kind of side data that PyAV has no name for
        side = None
    if side is None:
        angle = math.radians(-frame.rotation)
        return round(math.cos(angle)), round(math.sin(angle)), -round(math.sin(angle)), round(math.cos(angle))
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side)[:36])
    return (a, b, c, d) if any((a, b, c, d)) else UPRIGHT


def clean_aperture(data: bytes, track: int) -> Aperture | None:
    """The `clap` box of a track of an MP4 or QuickTime file, None where there is none that makes sense."""
    try:
        for moov in _boxes(data, b"moov", 0, len(data)):
            for trak in _boxes(data, b"trak", *moov):
                if _number(data, trak) == track:
                    return next(_apertures(data, trak), None)
    except (struct.error, ZeroDivisionError, IndexError):
        return None
    return None


def _number(data: bytes, trak: tuple[int, int]) -> int:
    start, _ = next(_boxes(data, b"tkhd", *trak), (0, 0))
    place = start + (20 if data[start] else 12)  # the times before it are longer from version 1 on
    return int(struct.unpack_from(">I", data, place)[0])


def _apertures(data: bytes, trak: tuple[int, int]) -> Iterator[Aperture]:
    inner = trak
    for kind in (b"mdia", b"minf", b"stbl", b"stsd"):
        found = next(_boxes(data, kind, *inner), None)
        if found is None:
            return
        inner = found
    entry, end = inner[0] + 8, inner[1]
    for start, _ in _boxes(data, b"clap", entry + _SAMPLE_ENTRY, min(end, entry + _length(data, entry))):
        values = struct.unpack_from(">IIIIiIiI", data, start)
        width, height, right, below = (Fraction(n, d) for n, d in zip(values[::2], values[1::2], strict=True))
        yield Aperture(width, height, right, below)


def _length(data: bytes, place: int) -> int:
    return int(struct.unpack_from(">I", data, place)[0])


def _boxes(data: bytes, kind: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Contents (start, end) of the boxes of `kind` that follow each other from `start` on."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = start + length if length else end
        if length and length < head:
            return
        if name == kind:
            yield start + head, min(stop, end)
        start = stop
