"""JPEG pixels at full size, or an error: libjpeg alone paints what is missing grey and says nothing.

The decoder (libjpeg-turbo) writes straight into 3 bytes a pixel, and stops at its first warning, except for those that
cost no pixel. Scaled decoding, which is cheaper for giants, is not used: it removes the traces that are looked for.
"""

from __future__ import annotations

import numpy as np
import simplejpeg
from PIL import Image

from subnet.errors import MediaUnreadable
from subnet.types import Frames

_HARMLESS = ("extraneous bytes before marker", "Invalid SOS parameters", "JFIF revision", "Adobe color transform")


def decode(body: bytes, width: int, height: int) -> Frames:
    """(height, width, 3) of a file that says it has this size. Raises MediaUnreadable."""
    try:
        high, wide, space, _ = simplejpeg.decode_jpeg_header(body, strict=False)
        if (wide, high) != (width, height):
            raise MediaUnreadable(f"the JPEG file says it is {width}x{height} pixels, and then {wide}x{high}")
        return _decoded(body, four=space in ("CMYK", "YCCK"))
    except ValueError as error:
        if isinstance(error, MediaUnreadable):
            raise
        raise MediaUnreadable(f"the JPEG file is truncated or damaged: {error}") from error


def _decoded(body: bytes, *, four: bool) -> Frames:
    try:
        pixels: Frames = simplejpeg.decode_jpeg(body, "CMYK" if four else "RGB")
    except ValueError as error:
        if not any(text in str(error) for text in _HARMLESS):
            raise
        pixels = simplejpeg.decode_jpeg(body, "CMYK" if four else "RGB", strict=False)
    if four:  # stored inverted, as Adobe does; there is no other convention in the wild
        return np.asarray(Image.frombytes("CMYK", pixels.shape[1::-1], (255 - pixels).tobytes()).convert("RGB"))
    return pixels
