"""What an image file says about itself, read before any decoder sees it.

A walk over the markers or chunks of the three allowed containers in plain Python. It finds the size, the EXIF turn and
(for JPEG) the number of scans, and rebuilds a file without metadata: no EXIF, ICC, XMP, comments, animation, thumbnails
or trailing bytes ever reach a decoder. Sources: ITU-T T.81 annex B, PNG third edition section 5, RFC 9649, EXIF 2.32.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from subnet.errors import MediaUnreadable

FORMATS = ("JPEG", "PNG", "WEBP")

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither stuffing nor restart nor fill bytes
# Runs of zero bytes in the pixels of WebP: measured at most 2 lossless, and one for 360 pixels of a lossy flat picture.
_ZEROS, _PIXELS_PER_ZERO = 64, 200
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xFE


@dataclass(frozen=True)
class Header:
    """Format (one of FORMATS), stored size in pixels, EXIF orientation 1..8, JPEG scans, and the bare file."""

    format: str
    width: int
    height: int
    orientation: int = 1
    scans: int = 1
    body: bytes = field(default=b"", repr=False)


def read_header(data: bytes) -> Header:
    """Walk the file. Raises MediaUnreadable when it is none of FORMATS or its structure does not hold."""
    try:
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg(data)
        if data[:8] == _PNG_SIGNATURE:
            return _png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError) as error:
        raise MediaUnreadable("the image file ends within its header") from error
    kind = "no picture that is taken here" if data else "an empty file (0 bytes)"
    raise MediaUnreadable(f"this is {kind}; send JPEG, PNG or WebP")


def _jpeg(data: bytes) -> Header:
    kept, position, scans, orientation = [b"\xff\xd8"], 2, 0, 0
    size: tuple[int, int] | None = None
    missing: dict[int, set[int]] = {}
    progressive = False
    while match := _JPEG_MARKER.search(data, position):
        if scans:
            kept.append(data[position : match.start()])  # entropy-coded data
        code, start = data[match.start() + 1], match.start()
        if code == _EOI:
            kept.append(b"\xff\xd9")
            break
        if code in (_SOI, 0x01):
            position = match.end()
            continue
        position = start + 2 + int(struct.unpack_from(">H", data, start + 2)[0])
        segment = data[start:position]
        if code in _SOF and size is None:
            height, width = struct.unpack_from(">HH", data, start + 5)
            size = (width, height)
            progressive = code in _PROGRESSIVE
            missing = {component: set(range(64)) for component in segment[10::3]}
        if code == _SOS:
            scans += 1
            _tick_off(missing, segment, progressive)
        if code == _APP1 and segment[4:10] == b"Exif\0\0":
            orientation = orientation or _exif_orientation(segment[10:])
        if _jpeg_keeps(code, segment):
            kept.append(segment)
    else:
        raise MediaUnreadable("the JPEG file is truncated: its end marker is missing")
    if size is None or not scans:
        raise MediaUnreadable("the JPEG file has no picture in it")
    if any(missing.values()):
        raise MediaUnreadable("the JPEG file is truncated: its last scans are missing")
    return Header("JPEG", *size, orientation or 1, scans, b"".join(kept))


def _tick_off(missing: dict[int, set[int]], segment: bytes, progressive: bool) -> None:
    """Take from `missing` (coefficients by component) what a scan brings to its full precision."""
    components = segment[5 : 5 + 2 * segment[4] : 2]
    first, last, precision = struct.unpack_from(">3B", segment, 5 + 2 * segment[4])
    if not progressive:  # some cameras write nonsense there
        first, last, precision = 0, 63, 0
    for component in components:
        if component in missing and not precision & 15:
            missing[component] -= set(range(first, min(last, 63) + 1))


def _jpeg_keeps(code: int, segment: bytes) -> bool:
    """Tables, frames and scans, and the two segments that say how colours are stored (JFIF, Adobe)."""
    if _APP0 <= code <= 0xEF:
        return (code == _APP0 and segment[4:9] == b"JFIF\0") or (code == _APP14 and segment[4:9] == b"Adobe")
    return code != _COM


def _png(data: bytes) -> Header:
    kept, position, orientation = [_PNG_SIGNATURE], 8, 0
    width, height = struct.unpack_from(">II", data, 16)
    animated = shown = False  # of an animation the picture is the first frame, if it is told of before it (fcTL)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise MediaUnreadable("the PNG file is truncated: its last chunk is not complete")
        if position == 8 and (kind != b"IHDR" or length != 13):
            raise MediaUnreadable("the PNG file does not start with its header chunk")
        if kind == b"fcTL":
            shown = True
        elif kind == b"IDAT" and animated and not shown:
            raise MediaUnreadable("the PNG file shows an animation that leaves its picture out; save the frame as PNG")
        animated = animated or kind == b"acTL"
        if kind in _PNG_KEPT:
            kept.append(data[position:end])
        elif kind == b"eXIf":
            orientation = orientation or _exif_orientation(data[position + 8 : end - 4])
        if kind == b"IEND":
            return Header("PNG", width, height, orientation or 1, body=b"".join(kept))
        position = end


def _webp(data: bytes) -> Header:
    end = 8 + int(struct.unpack_from("<I", data, 4)[0])
    if end > len(data):
        raise MediaUnreadable("the WebP file is truncated: its chunks are longer than the file")
    width, height = _webp_size(data)
    orientation, position = 0, 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            exif = data[position + 8 : min(end, position + 8 + length)]
            orientation = orientation or _exif_orientation(exif.removeprefix(b"Exif\0\0"))
        longest = {b"VP8 ": _ZEROS + width * height // _PIXELS_PER_ZERO, b"VP8L": _ZEROS}.get(kind)
        if longest is not None and data.find(bytes(longest), position + 8, min(end, position + 8 + length)) >= 0:
            raise MediaUnreadable(f"the WebP file is damaged: over {longest} bytes of its picture are zero")
        position += 8 + length + (length & 1)
    return Header("WEBP", width, height, orientation or 1, body=data[:end])


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int(struct.unpack_from("<I", data, 21)[0])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise MediaUnreadable("the WebP file starts with an unknown chunk")


def _exif_orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory; 0 when absent, broken or out of range."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return 0
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(min(count, 200)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * entry)
            if tag == 0x0112:
                return int(value) if kind == 3 and 1 <= value <= 8 else 0
    except struct.error:
        return 0
    return 0
