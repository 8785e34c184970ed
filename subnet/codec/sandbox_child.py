"""The process that `subnet.codec.sandbox` starts: decodes clips from its standard input until that ends.

Run as `python -m subnet.codec.sandbox_child MEMORY LIMITS`, LIMITS in JSON. Before it says that it is ready it gives up
what it does not need: address space beyond MEMORY bytes, new files and sockets, writing files, core dumps.
Each clip gets the processor time of its limits. Messages both ways are one byte of kind, four bytes of length
(big-endian) and the payload.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO

import numpy as np

from subnet.codec.video import Limits, Tags, decode_video, encode_video, read_frames
from subnet.errors import MediaError, MediaTooLarge
from subnet.types import Media

READY, CLIP, FRAME, TAGS, DONE, UNREADABLE, TOO_LARGE = b"R", b"C", b"F", b"T", b"D", b"U", b"L"
DONE_PAYLOAD = struct.Struct(">IIIdd")  # frames, height, width, frames per second, seconds; then the time of each frame

_HEAD = struct.Struct(">cI")


def send(pipe: IO[bytes], kind: bytes, payload: bytes | memoryview = b"") -> None:
    """Write one message whole. Raises OSError when the other side is gone."""
    pipe.write(_HEAD.pack(kind, len(payload)))
    pipe.write(payload)
    pipe.flush()


def receive(pipe: IO[bytes], limit: int) -> tuple[bytes, bytes]:
    """Read one message. Raises EOFError when the pipe ends or the payload is said to be longer than `limit` bytes."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError("the pipe ended")
    kind, length = _HEAD.unpack(head)
    if length > limit:
        raise EOFError(f"a message of {length} bytes is over the limit of {limit}")
    payload = pipe.read(length)
    if len(payload) < length:
        raise EOFError("the pipe ended within a message")
    return kind, payload


def main(arguments: Sequence[str]) -> None:
    """Serve standard input and output until input ends."""
    memory, limits = arguments
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(silence, descriptor)
    _try_out()
    _confine(int(memory))
    _try_out()
    send(sink, READY)
    os.dup2(silence, 2)
    serve(source, sink, limits_from(limits))


def limits_to(limits: Limits) -> str:
    """Limits as one argument of a command line."""
    return json.dumps(asdict(limits))


def limits_from(text: str) -> Limits:
    """The inverse of `limits_to`."""
    values = json.loads(text)
    return Limits(**{**values, "containers": tuple(values["containers"])})


def tags_to(tags: Tags) -> bytes:
    """Names and texts, each ended by a zero."""
    return "".join(f"{part}\0" for tag in tags for part in tag).encode("utf-8", "replace")


def tags_from(data: bytes) -> Tags:
    """The inverse of `tags_to`, for any bytes."""
    parts = data.decode("utf-8", "replace").split("\0")
    return tuple(zip(parts[:-1:2], parts[1::2], strict=False))


def _try_out() -> None:
    """Decode one frame: first to load what PyAV and Python load late, then to see that it works when confined."""
    for late in ("av.audio.codeccontext", "av.subtitles.codeccontext"):
        importlib.import_module(late)
    decode_video(encode_video(Media(np.zeros((1, 16, 16, 3), np.uint8), 1.0), 23))


def _confine(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # all three are taken
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere address space cannot be limited; the timeout still holds
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def serve(source: IO[bytes], sink: IO[bytes], limits: Limits) -> None:
    """Answer each clip with its frames, TAGS and DONE, or with one UNREADABLE or TOO_LARGE that says why."""
    while True:
        try:
            _, data = receive(source, limits.bytes)
        except EOFError:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + 1 + limits.seconds
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        try:
            _answer(sink, data, limits)
        except MediaError as error:
            send(sink, TOO_LARGE if isinstance(error, MediaTooLarge) else UNREADABLE, str(error)[:2000].encode())


def _answer(sink: IO[bytes], data: bytes, limits: Limits) -> None:
    times = array("d")
    for shot in read_frames(data, limits):
        times.append(shot.seconds)
        send(sink, FRAME, shot.pixels.data.cast("B"))
    send(sink, TAGS, tags_to(shot.tags))
    height, width, _ = shot.pixels.shape
    send(sink, DONE, DONE_PAYLOAD.pack(len(times), height, width, shot.fps, shot.duration) + times.tobytes())


if __name__ == "__main__":
    main(sys.argv[1:])
