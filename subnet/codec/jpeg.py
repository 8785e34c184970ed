"""JPEG pixels at full size, or an error: libjpeg alone paints what is missing grey and says nothing.

The decoder (libjpeg-turbo) writes straight into 3 bytes a pixel and stops at its first warning. Where the warning says
nothing of the pixels, or the sampling is one that the decoder has no name for, the file is decoded again with bytes
added before its end: a scan that is complete takes no notice of them. Scaled decoding, which is cheaper for giants, is
not used: it removes the traces that are looked for.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import simplejpeg
from PIL import Image

from subnet.errors import MediaUnreadable
from subnet.types import Frames

_HARMLESS = ("extraneous bytes before marker", "JFIF revision", "Adobe color transform", "Invalid SOS parameters")
_MOST_BY_PILLOW = 89_000_000  # pixels; it warns of larger ones
_FILLING = b"\xaa\x33\x55\x0f" * 64
_END = b"\xff\xd9"
_SCAN = 0xDA
_HOLE = re.compile(rb"\0{32,}")  # what a broken download or disk leaves in a file; zeros decode to even grey


def decode(body: bytes, width: int, height: int) -> Frames:
    """(height, width, 3) of a file that says it has this size and ends in its end marker. Raises MediaUnreadable."""
    try:
        high, wide, space, _ = simplejpeg.decode_jpeg_header(body, strict=False)
        if (wide, high) != (width, height):
            raise MediaUnreadable(f"the JPEG file says it is {width}x{height} pixels, and then {wide}x{high}")
        return _strictly(body, four=space in ("CMYK", "YCCK"))
    except KeyError as error:  # an unusual sampling
        if width * height > _MOST_BY_PILLOW:
            raise MediaUnreadable("a JPEG file of this size and an unusual sampling of colours is not taken") from error
        return _complete(_by_pillow, body)
    except MediaUnreadable:
        raise
    except ValueError as error:
        why = str(error).rpartition("(): ")[2]  # without the name of a function of the library
        raise MediaUnreadable(f"the JPEG file is truncated or damaged: {why}") from error


def _strictly(body: bytes, *, four: bool) -> Frames:
    try:
        pixels: Frames = simplejpeg.decode_jpeg(body, "CMYK" if four else "RGB")
    except ValueError as error:
        if not any(text in str(error) for text in _HARMLESS):
            raise
        if four:
            return _complete(lambda whole: _four(simplejpeg.decode_jpeg(whole, "CMYK", strict=False)), body)
        return _complete(lambda whole: np.asarray(simplejpeg.decode_jpeg(whole, "RGB", strict=False)), body)
    return _four(pixels) if four else pixels


def _four(stored: Frames) -> Frames:
    """RGB of CMYK (H, W, 4), which is stored inverted, as Adobe does; there is no other convention in the wild."""
    return np.asarray(Image.frombytes("CMYK", stored.shape[1::-1], (255 - stored).tobytes()).convert("RGB"))


def _by_pillow(body: bytes) -> Frames:
    try:
        with Image.open(io.BytesIO(body), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaUnreadable(f"the JPEG file cannot be decoded: {error}") from error


def _complete(decoded: Callable[[bytes], Frames], body: bytes) -> Frames:
    """Pixels that change neither with bytes added to the last scan, nor with what lies behind a hole in a scan."""
    pixels = decoded(body)
    hole = _HOLE.search(body, _first_scan(body))
    whole = body[: hole.start() + 2] if hole else body.removesuffix(_END)  # two zeros may be the scan's own
    if not np.array_equal(pixels, decoded(whole + _FILLING + _END)):
        raise MediaUnreadable("the JPEG file is truncated: its last scan is not complete")
    return pixels


def _first_scan(body: bytes) -> int:
    """Where the segments before the first scan end."""
    place = 2
    while body[place + 1] != _SCAN:
        place += 2 + int.from_bytes(body[place + 2 : place + 4])
    return place
