"""Clips that declare odd things, made by PyAV and by patches of their boxes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np

from subnet.types import Frames

RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128)
Tag = Callable[[av.VideoCodecContext], None]


def quadrants(height: int = 64, width: int = 96) -> Frames:
    """Red and green above, blue and grey below: (H, W, 3)."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = BLUE, GREY
    return picture


def corners(frame: Frames) -> list[tuple[int, ...]]:
    """The colours (of the four above) that lie nearest to those in the middle of the quadrants, in reading order."""
    height, width = frame.shape[:2]
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    named = (RED, GREEN, BLUE, GREY)
    return [min(named, key=lambda colour: int(np.abs(frame[place].astype(int) - colour).sum())) for place in places]


def encoded(
    frames: Sequence[av.VideoFrame | Frames], *, codec: str = "libx264", pixels: str = "yuv420p", container: str = "mp4",
    ticks: Sequence[int] | None = None, unit: Fraction = Fraction(1, 1000), options: dict[str, str] | None = None,
    tag: Tag = lambda context: None,
) -> bytes:  # fmt: skip
    """A clip of frames (RGB, or ready ones) at 25 a second, or at `ticks` of `unit`; `tag` sets up the encoder."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25, options={"crf": "12", **(options or {})} if "26" in codec else options)
        first = frames[0]
        stream.height, stream.width = (
            (first.height, first.width) if isinstance(first, av.VideoFrame) else first.shape[:2]
        )
        stream.pix_fmt = pixels
        if ticks is not None:
            stream.codec_context.time_base = unit
        tag(stream.codec_context)
        for count, given in enumerate(frames):
            frame = given if isinstance(given, av.VideoFrame) else av.VideoFrame.from_ndarray(given, format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[count], unit
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def box(kind: bytes, *contents: bytes) -> bytes:
    payload = b"".join(contents)
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def place(data: bytes, *path: bytes, start: int = 0, end: int | None = None) -> tuple[int, int]:
    """Where the box at `path` starts, and its length."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        if kind == path[0]:
            return (start, length) if len(path) == 1 else place(data, *path[1:], start=start + 8, end=start + length)
        start += length
    raise KeyError(path)


def with_matrix(data: bytes, a: float, b: float, c: float, d: float) -> bytes:
    """The first track with another display matrix: (x, y) goes to (a x + c y, b x + d y)."""
    start = place(data, b"moov", b"trak", b"tkhd")[0] + 48
    numbers = (round(number * 65536) for number in (a, b, 0, c, d, 0, 0, 0, 16384))
    return data[:start] + struct.pack(">9i", *numbers) + data[start + 36 :]


def with_cover(data: bytes, jpeg: bytes) -> bytes:
    """A clip (boxes of index behind those of pictures) with cover art before its track, as music shops write it."""
    art = box(b"covr", box(b"data", struct.pack(">II", 13, 0), jpeg))
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    meta = box(b"udta", box(b"meta", bytes(4), handler, box(b"ilst", art)))
    start, length = place(data, b"moov")
    header, size = place(data, b"moov", b"mvhd")
    middle = header + size
    return data[:start] + struct.pack(">I", length + len(meta)) + data[start + 4 : middle] + meta + data[middle:]


def with_aperture(data: bytes, width: int, height: int, right: Fraction, below: Fraction) -> bytes:
    """A clip (index behind the pictures) whose sample entry gets a clean aperture; all boxes around it grow."""
    values = (width, 1, height, 1, right.numerator, right.denominator, below.numerator, below.denominator)
    clap = box(b"clap", struct.pack(">IIIIiIiI", *values))
    path = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    changed = bytearray(data)
    for depth in range(1, len(path) + 1):
        start, length = place(data, *path[:depth])
        changed[start : start + 4] = struct.pack(">I", length + len(clap))
    entry = start + 16
    length = struct.unpack_from(">I", data, entry)[0]
    changed[entry : entry + 4] = struct.pack(">I", length + len(clap))
    return bytes(changed[: entry + length]) + clap + bytes(changed[entry + length :])
