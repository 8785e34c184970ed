"""Samples of more than 8 bits, as satellites and scanners give them: both their bytes, and the range that they use.

Pillow keeps colours in 8 bits and takes the upper byte of 16, which of a 12-bit sensor's picture leaves 16 shades. Its
decoders are asked twice here, for either byte. Sources: TIFF 6.0 (tags 258, 281, 284, 339), PNG third edition, 13.12.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from subnet.errors import MediaUnreadable

SENSORS = (12, 14)  # bits of a sample in a file of 16 that does not say how many it uses: the fewest that hold it
_BITS, _LARGEST, _PLANAR, _FORMAT = 258, 281, 284, 339  # tags of TIFF
_APART, _SIGNED = 2, 2
_COLOURS, _PLANES = ("RGB;16", "RGBX;16", "RGBA;16"), ("R", "G", "B", "A")
_NATIVE, _FOREIGN = ("L", "B") if sys.byteorder == "little" else ("B", "L")
_OTHER_BYTE = {"B": "L", "L": "B", "N": _FOREIGN}
Samples = NDArray[np.uint16]


def scaled(image: Image.Image, body: bytes) -> Image.Image:
    """`image`, opened from the file `body`, with 8 bits a sample: what is wider is scaled by its true range.

    That is what the file says (`BitsPerSample`, `MaxSampleValue`), or else the fewest of SENSORS bits that hold its
    largest sample, alpha included, and 16 above these. Pictures of 8 bits come back as they are. Raises MediaUnreadable
    for bands that lie apart and are compressed, and what Pillow does for broken files.
    """
    values = samples(image, body)
    return image if values is None else Image.fromarray(eight_bits(values, used_bits(image, int(values.max()))))


def eight_bits(values: Samples, bits: int) -> NDArray[np.uint8]:
    """Samples of `bits` bits, 8 or more, without their lowest."""
    shades: NDArray[np.uint8] = np.minimum(values >> (bits - 8), 255).astype(np.uint8)
    return shades


def used_bits(image: Image.Image, largest: int) -> int:
    """Bits of a sample, 8 to 16, in which `largest` is the largest value."""
    tags = getattr(image, "tag_v2", {})
    said = _first(tags.get(_LARGEST)).bit_length() or _first(tags.get(_BITS))
    if 8 <= said < 16 and largest < 1 << said:
        return said
    widest = 15 if _first(tags.get(_FORMAT)) == _SIGNED else 16
    return next(bits for bits in (*SENSORS, widest) if largest < 1 << bits)


def is_sixteen(image: Image.Image) -> bool:
    """Whether a TIFF file says that its samples have 16 bits."""
    return _first(getattr(image, "tag_v2", {}).get(_BITS)) == 16


def _first(value: Any) -> int:
    """The number of a tag that has one, or one for each band; 0 for none."""
    return int(value[0] if isinstance(value, tuple) and value else value or 0)


def samples(image: Image.Image, body: bytes) -> Samples | None:
    """(H, W) grey or (H, W, 3 or 4) colours and alpha, of 16 bits; None for a picture of 8."""
    if image.mode.startswith("I"):
        return np.clip(np.asarray(image).astype(np.int64), 0, 65535).astype(np.uint16)
    if not _is_wide(_open(image, body)):
        return None
    upper, lower = (_bytes(_open(image, body), lower) for lower in (False, True))
    return (upper.astype(np.uint16) << np.uint16(8)) | lower


def _open(image: Image.Image, body: bytes) -> ImageFile.ImageFile:
    """The same file anew: a picture that is loaded no longer knows how its bytes are to be taken."""
    return Image.open(io.BytesIO(body), formats=(str(image.format),))


def _is_wide(image: ImageFile.ImageFile) -> bool:
    if not image.tile:
        return False
    raw, tags = _raw(image.tile[0]), getattr(image, "tag_v2", {})
    if raw.startswith(_COLOURS) and image.tile[0].codec_name == "libtiff" and tags.get(_PLANAR) == _APART:
        raise MediaUnreadable("compressed bands of 16 bits that lie apart are not read; save it pixel by pixel")
    return raw.startswith(_COLOURS) or (raw in _PLANES and is_sixteen(image))


def _bytes(image: ImageFile.ImageFile, lower: bool) -> NDArray[np.uint8]:
    """One of the two bytes of every sample."""
    order = "B" if getattr(getattr(image, "tag_v2", None), "prefix", b"II") == b"MM" else "L"
    tiles = [tile for tile in image.tile if _raw(tile) in _PLANES or _raw(tile).startswith(_COLOURS)]
    image.tile = [_asking(tile, order, lower) for tile in tiles]
    return np.asarray(image)


def _asking(tile: ImageFile._Tile, order: str, lower: bool) -> ImageFile._Tile:
    """The tile with a raw mode that takes the wanted byte; bands that lie apart are of 16 bits, too."""
    raw = _raw(tile)
    wide = f"{raw};16{order}" if raw in _PLANES else raw
    if lower:
        wide = wide[:-1] + _OTHER_BYTE[wide[-1]]
    return tile._replace(args=wide if isinstance(tile.args, str) else (wide, *(tile.args or ())[1:]))


def _raw(tile: ImageFile._Tile) -> str:
    return tile.args if isinstance(tile.args, str) else str((tile.args or ("",))[0])
