"""What a media file tells without being decoded, as named numbers: the ways in which a container may give a label away.

Names start with a group: `format.` (container and coding choices), `dimension.` (size in pixels, frames, rate),
`table.` (JPEG quantisation and Huffman tables), `meta.` (EXIF, ICC, XMP, comments, other chunks and brands),
`name.` (of the file), `time.` (of its last change). Never raises for what stands in a file: broken ones have them too.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter

import av

GROUPS = ("format", "dimension", "table", "meta", "name", "time")
Traits = dict[str, float]
_CONTAINER_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts"}
_OWN_SEGMENTS = {0xC4, 0xDA, 0xDB, 0xDD, *range(0xC0, 0xD0)}


def traits(data: bytes, name: str, changed: float) -> Traits:
    """All traits of a file: its bytes, the last part of its name, and when it was changed (seconds)."""
    found: Traits = {}
    try:
        if data[:3] == b"\xff\xd8\xff":
            found = _jpeg(data)
        elif data[:8] == b"\x89PNG\r\n\x1a\n":
            found = _png(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            found = _webp(data)
        elif data[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            found = _mp4(data)
        else:
            found = {f"format.starts={data[:4].hex()}": 1.0}
    except (struct.error, IndexError, ValueError):
        found["format.broken"] = 1.0
    return {**found, **_name(name), **_time(changed)}


def _jpeg(data: bytes) -> Traits:
    found: Traits = {"format.jpeg": 1.0}
    position, tables = 2, 0
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            break
        code = data[position + 1]
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + length]
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width, components = struct.unpack_from(">xHHB", body)
            found |= {f"format.frame={code:02x}": 1.0, "format.components": components, "format.sampling": body[7]}
            found |= {"dimension.width": width, "dimension.height": height, "dimension.pixels": width * height}
        elif code == 0xDB:
            found |= {f"table.quantiser{tables}.{i}": body[i] for i in range(min(len(body), 260))}
            tables += 1
        elif code == 0xC4:
            found["table.huffman"] = found.get("table.huffman", 0.0) + length
        elif code not in _OWN_SEGMENTS:
            kind = f"meta.{code:02x}.{_printable(body[:5])}"
            found |= {kind: 1.0, f"{kind}.bytes": length}
        if code == 0xDA:
            break
        position += 2 + length
    found["format.restarts"] = float(b"\xff\xdd" in data[:position])
    found["format.progressive_scans"] = float(data.count(b"\xff\xda"))
    end = data.rfind(b"\xff\xd9")
    found["meta.trailing"] = float(len(data) - end - 2 if end >= 0 else -1)
    return found


def _png(data: bytes) -> Traits:
    found: Traits = {"format.png": 1.0}
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    found |= {"dimension.width": width, "dimension.height": height, "dimension.pixels": width * height}
    found |= {"format.depth": depth, "format.colour": colour, "format.interlaced": interlaced}
    position, first = 8, True
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            if first:
                found |= {"format.zlib": data[position + 9], "format.chunk": float(length >= 8192)}
            first = False
        elif kind not in (b"IHDR", b"IEND"):
            found[f"meta.{_printable(kind)}"] = 1.0 + length
        position += 12 + length
    found["meta.trailing"] = float(len(data) - position)
    return found


def _webp(data: bytes) -> Traits:
    found: Traits = {"format.webp": 1.0}
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        found[f"{'format' if kind.startswith(b'VP8') else 'meta'}.{_printable(kind)}"] = 1.0
        if kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, position + 14)
            found |= {"dimension.width": width & 0x3FFF, "dimension.height": height & 0x3FFF}
        position += 8 + length + (length & 1)
    return found


def _mp4(data: bytes) -> Traits:
    found: Traits = {"format.mp4": 1.0, f"meta.brand={_printable(data[8:12])}": 1.0}
    order: list[str] = []
    _boxes(data, 0, len(data), order)
    found |= {f"format.box.{name}": float(count) for name, count in Counter(order).items()}
    found["format.order"] = float(zlib.crc32("/".join(order).encode()))
    try:
        with av.open(io.BytesIO(data), "r", format="mov", container_options={"protocol_whitelist": ""}) as container:
            found |= {f"meta.tag.{key}={value}": 1.0 for key, value in container.metadata.items()}
            for stream in container.streams.video[:1]:
                found |= {"dimension.width": stream.width, "dimension.height": stream.height}
                found |= {"dimension.frames": stream.frames, "dimension.rate": float(stream.average_rate or 0)}
                found |= {f"format.codec={stream.codec_context.name}": 1.0, f"format.pixels={stream.pix_fmt}": 1.0}
                found["format.timescale"] = float(1 / stream.time_base) if stream.time_base else 0.0
            found["format.streams"] = float(len(container.streams))
    except (av.FFmpegError, ArithmeticError):
        found["format.broken"] = 1.0
    return found


def _boxes(data: bytes, start: int, end: int, order: list[str]) -> None:
    """Append the names of the boxes from `start` to `end`, those within others after their parent."""
    while start + 8 <= end and len(order) < 1000:
        size, kind = struct.unpack_from(">I4s", data, start)
        order.append(_printable(kind))
        if size < 8:
            return
        if kind in _CONTAINER_BOXES:
            _boxes(data, start + 8, min(end, start + size), order)
        start += size


def _name(name: str) -> Traits:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    stem = stem if dot else suffix
    found: Traits = {"name.length": len(stem), f"name.suffix={suffix.lower() if dot else ''}": 1.0}
    found["name.digits"] = sum(letter.isdigit() for letter in stem)
    found["name.upper"] = sum(letter.isupper() for letter in stem)
    digits = "".join(letter for letter in stem if letter.isdigit())[-12:]
    found["name.number"] = float(digits or -1)
    padded = f"^{stem.lower()}$"
    grams = Counter(zlib.crc32(padded[i : i + 3].encode(errors="surrogateescape")) % 64 for i in range(len(padded) - 2))
    return found | {f"name.gram{gram}": float(count) for gram, count in grams.items()}


def _time(changed: float) -> Traits:
    return {"time.changed": changed, "time.of_day": changed % 86_400, "time.fraction": changed % 1}


def _printable(raw: bytes) -> str:
    return "".join(chr(code) if 32 < code < 127 else "." for code in raw)
