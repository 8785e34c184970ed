"""What Pillow leaves out of PNG: rows that are not there, and keys of transparency that are not 8 bits deep.

Source: PNG specification, third edition, sections 7.2, 8.2 and 11.3.2.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from subnet.errors import MediaUnreadable

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_GREY, _TRUE = 0, 2
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_STEP = 2**20  # bytes that are inflated at a time


def check_rows(body: bytes, width: int, height: int) -> None:
    """Raises MediaUnreadable when the image data end before the last row, or are not those that were written."""
    depth, colour, interlace = body[24], body[25], body[28]
    bits = depth * _CHANNELS.get(colour, 0)
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes)
    wanted = sum(high * (1 + -(-wide * bits // 8)) for wide, high in sizes if wide > 0 and high > 0)
    _check_sums(body)
    there = 0
    try:
        for length in _inflated(body):
            there += length
            if there >= wanted:
                return
    except zlib.error as error:
        raise MediaUnreadable("the PNG file is damaged: its pixels cannot be unpacked") from error
    raise MediaUnreadable(f"the PNG file is truncated: {there} of {wanted} bytes of its pixels are there")


def _check_sums(body: bytes) -> None:
    place = 8
    while place + 12 <= len(body):
        (length,) = struct.unpack_from(">I", body, place)
        end = place + 8 + length
        if body[place + 4 : place + 8] == b"IDAT" and body[end : end + 4] != struct.pack(
            ">I", zlib.crc32(memoryview(body)[place + 4 : end])
        ):
            raise MediaUnreadable("the PNG file is damaged: a check sum of its pixels is wrong")
        place = end + 4


def _inflated(body: bytes) -> Iterator[int]:
    """Lengths of the pieces of pixel data, one after another."""
    inflating = zlib.decompressobj()
    for kind, payload in _chunks(body):
        rest = payload if kind == b"IDAT" else b""
        while rest:
            piece = inflating.decompress(rest, _STEP)
            yield len(piece)
            rest = inflating.unconsumed_tail
    while piece := inflating.decompress(b"", _STEP):
        yield len(piece)


def _chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place + 8 <= len(body):
        length, kind = struct.unpack_from(">I4s", body, place)
        yield kind, body[place + 8 : place + 8 + length]
        place += 12 + length


def keyed_out(image: Image.Image, body: bytes) -> NDArray[np.bool_] | None:
    """Which pixels (H, W) the transparency key of a grey or true-colour file makes invisible, None without a key.

    Keys count in the depth that is stored: bits above it are ignored, and 16 bits are compared whole.
    """
    depth, colour = body[24], body[25]
    payload = next((payload for kind, payload in _chunks(body) if kind == b"tRNS"), b"")
    if colour not in (_GREY, _TRUE) or len(payload) < 2 * _CHANNELS[colour]:
        return None
    key = [value & (2**depth - 1) for value in struct.unpack_from(f">{_CHANNELS[colour]}H", payload)]
    if colour == _GREY:
        if depth == 16:
            return np.asarray(np.asarray(image) == key[0])
        return np.asarray(np.asarray(image.convert("L")) == key[0] * 255 // (2**depth - 1))
    if depth == 8:
        return np.asarray((np.asarray(image) == key).all(axis=-1))
    lower = Image.open(io.BytesIO(body), formats=("PNG",))
    lower.tile = [tile._replace(args="RGB;16L") for tile in lower.tile]  # of big-endian pairs this takes the second
    whole = np.asarray(image).astype(np.uint16) << 8 | np.asarray(lower)
    return np.asarray((whole == key).all(axis=-1))
