"""Cuts a span out of a video file and writes it again: H.264 in MP4, 4:2:0, reduced, without sound or metadata."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

SHORT_SIDE = 320  # pixels; clips are only ever reduced
CRF = 16


@dataclass(frozen=True)
class EncodedClip:
    """MP4 bytes and what is in them: pixels, number of frames, frames a second."""

    data: bytes
    width: int
    height: int
    frames: int
    fps: float


def recode_span(data: bytes, start: float, end: float) -> EncodedClip:
    """The frames of the video `data` shown in [start, end) seconds, at their own rate.

    Raises `ValueError` when the span holds no frame.
    """
    with av.open(io.BytesIO(data)) as source:
        stream = source.streams.video[0]
        stream.thread_type = "NONE"
        rate = (stream.average_rate or Fraction(25)).limit_denominator(1001)
        first, last = round(start * rate), round(end * rate)
        frames = [frame for number, frame in zip(range(last), source.decode(stream), strict=False) if number >= first]
    if not frames:
        raise ValueError(f"no frame between {start} s and {end} s")
    width, height = _reduced(frames[0].width, frames[0].height)
    return EncodedClip(_encode(frames, rate, width, height), width, height, len(frames), float(rate))


def _reduced(width: int, height: int) -> tuple[int, int]:
    """Size after reduction to `SHORT_SIDE`, both sides even as 4:2:0 asks."""
    scale = min(1.0, SHORT_SIDE / min(width, height))
    return 2 * round(width * scale / 2), 2 * round(height * scale / 2)


def _encode(frames: Iterable[VideoFrame], rate: Fraction, width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=rate, options={"crf": str(CRF), "preset": "slow", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in _renumbered(frames, rate, width, height):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()


def _renumbered(frames: Iterable[VideoFrame], rate: Fraction, width: int, height: int) -> Iterator[VideoFrame]:
    for number, frame in enumerate(frames):
        small = frame.reformat(width, height, "yuv420p", interpolation=Interpolation.LANCZOS)
        small.pts, small.time_base = number, 1 / rate
        yield small
