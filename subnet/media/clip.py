"""Video in this process, by FFmpeg through PyAV: MP4 to frames and back.

`decode_video` trusts its bytes not to break FFmpeg: our own files only. Untrusted bytes go through
`subnet.media.decoder`, which runs this same function in a child process under limits.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from subnet.errors import MediaTooLarge, MediaUnreadable
from subnet.types import Frames, Media, Modality

# Nothing is opened beside the bytes at hand.
_OPTIONS = {"protocol_whitelist": "", "enable_drefs": "0", "use_absolute_path": "0"}
_FALLBACK_FPS = 25.0


@dataclass(frozen=True)
class Limits:
    """What a clip may have: encoded bytes, frames (later ones are not decoded), pixels of one frame and of all."""

    bytes: int = 64 * 2**20
    frames: int = 144
    frame_pixels: int = 4096 * 2304
    pixels: int = 144 * 1280 * 720


def decode_video(data: bytes, limits: Limits = Limits()) -> Media:
    """MP4 or QuickTime to RGB frames, upright, in presentation order, at most `limits.frames` of them.

    All frames take the size of the first. `fps` is the container's average rate (25 where it says none).
    Raises MediaTooLarge and MediaUnreadable.
    """
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"{len(data)} bytes are more than the {limits.bytes} that a video may have")
    if data[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        raise MediaUnreadable("this is not an MP4 file")
    try:
        with av.open(io.BytesIO(data), "r", format="mov", container_options=_OPTIONS) as container:
            if not container.streams.video:
                raise MediaUnreadable("the file has no video stream")
            stream = container.streams.video[0]
            fps = _rate(stream.average_rate or stream.guessed_rate)
            frames = list(_frames(container, stream, limits))
    except (av.FFmpegError, EOFError, OverflowError) as error:
        raise MediaUnreadable(f"the video cannot be decoded: {error}") from error
    if not frames:
        raise MediaUnreadable("the video has no frames")
    return Media(np.stack(frames), fps)


def _rate(rate: Fraction | None) -> float:
    fps = float(rate) if rate else _FALLBACK_FPS
    return fps if 0 < fps <= 1000 else _FALLBACK_FPS


def _frames(container: av.container.InputContainer, stream: av.VideoStream, limits: Limits) -> Iterator[Frames]:
    stream.thread_count = 1
    _check_pixels(stream.width, stream.height, limits)
    size: tuple[int, int] | None = None
    for count, frame in enumerate(container.decode(stream)):
        if count == limits.frames:
            return
        _check_pixels(frame.width, frame.height, limits)
        width, height = size = size or (frame.width, frame.height)
        if (count + 1) * width * height > limits.pixels:
            raise MediaTooLarge(f"{count + 1} frames of {width}x{height} are over the cap of {limits.pixels} pixels")
        rgb = frame.to_ndarray(width=width, height=height, format="rgb24")
        yield np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.frame_pixels:
        raise MediaTooLarge(f"{width}x{height} pixels are over the cap of {limits.frame_pixels} for a frame")


def encode_video(media: Media, crf: int) -> bytes:
    """MP4 with H.264 (High, yuv420p, one keyframe in 48, no B-frame pyramid) at a quality `crf` of 0 (best) to 51.

    The same frames and crf give the same bytes: one thread, no times, no names of tools. Height and width must be even.
    Raises ValueError.
    """
    if not 0 <= crf <= 51:
        raise ValueError(f"crf must be in 0..51, not {crf}")
    if media.frames.shape[1] % 2 or media.frames.shape[2] % 2:
        raise ValueError(f"4:2:0 needs an even height and width, not {media.frames.shape[1:3]}")
    return _encode(media, "libx264", "yuv420p", {"crf": str(crf), "preset": "veryfast", "g": "48", "bf": "2"})


def encode_lossless_video(media: Media) -> bytes:
    """MP4 with H.264 in RGB, quantiser 0: `decode_video` gives the same frames back. For the pool and data sets."""
    return _encode(media, "libx264rgb", "rgb24", {"crf": "0", "preset": "veryfast", "g": "48"})


def _encode(media: Media, codec: str, pixel_format: str, options: dict[str, str]) -> bytes:
    if media.modality is not Modality.VIDEO or media.fps is None:
        raise ValueError("an image cannot be encoded as a video: use encode_image")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=Fraction(media.fps).limit_denominator(1001), options=options)
        stream.height, stream.width = media.frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.thread_count = 1
        for frame in media.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()
