"""Video in this process, by FFmpeg through PyAV: MP4 to frames and back.

`decode_video` trusts its bytes not to break FFmpeg: our own files only. Untrusted bytes go through
`subnet.codec.sandbox`, which runs this same function in a child process under limits.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Frames, Media, Modality

_CODECS = ("h264", "hevc", "mpeg4", "vp9", "av1", "libdav1d", "mjpeg")
# Nothing is opened beside the bytes at hand, and no codec runs that is not listed.
_OPTIONS = {
    "protocol_whitelist": "",
    "codec_whitelist": ",".join(_CODECS),
    "enable_drefs": "0",
    "use_absolute_path": "0",
}
# The same colours on every CPU, and none darker: FFmpeg's faster conversion loses about one level of 255 each way.
_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
_FALLBACK_FPS = 25.0


@dataclass(frozen=True)
class Limits:
    """What a clip may have. More bytes or a bigger frame is refused; frames past either other cap are not decoded."""

    bytes: int = 64 * 2**20
    frame_pixels: int = 4096 * 2304
    frames: int = 144
    pixels: int = 64_000_000  # of all frames together


def decode_video(data: bytes, limits: Limits = Limits(), start: int = 0) -> Media:
    """MP4 or QuickTime to RGB frames, upright, in presentation order: the first that `limits` allow, from `start` on.

    All frames take the size of the first. `fps` is the container's average rate (25 where it says none). Frames before
    `start` count towards the limits and are not turned into RGB, which takes more time than decoding them.
    Raises MediaTooLarge and MediaUnreadable.
    """
    rates, frames = zip(*read_frames(data, limits, start), strict=True)
    return Media(np.stack(frames), rates[0])


def read_frames(data: bytes, limits: Limits, start: int = 0) -> Iterator[tuple[float, Frames]]:
    """Rate and (H, W, 3) of one frame after another from `start` on, at least one. Raises as `decode_video` does."""
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"{len(data)} bytes are more than the {limits.bytes} that a video may have")
    if data[4:8] not in _FIRST_BOXES:
        raise MediaUnreadable("this is not an MP4 file")
    some = False
    try:
        source = io.BytesIO(data)
        with av.open(source, format="mov", container_options=_OPTIONS, metadata_errors="replace") as container:
            stream = _video_stream(container)
            fps = _rate(stream.average_rate or stream.guessed_rate)
            for frame in _frames(container, stream, limits, start):
                some = True
                yield fps, frame
    except MemoryError as error:
        raise MediaTooLarge("the video needs more memory than it may have") from error
    except (av.FFmpegError, EOFError, OverflowError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise MediaUnreadable(f"the video cannot be decoded: {reason}") from error
    if not some:
        raise MediaUnreadable(f"the video has no frame {start}" if start else "the video has no frames")


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    if not container.streams.video:
        raise MediaUnreadable("the file has no video stream")
    stream = container.streams.video[0]
    codec = stream.codec_context.name if stream.codec_context else "unknown"
    if codec not in _CODECS:
        raise MediaUnreadable(f"the codec {codec} is not taken: use H.264, H.265, VP9 or AV1")
    return stream


def _rate(rate: Fraction | None) -> float:
    fps = float(rate) if rate else _FALLBACK_FPS
    return fps if 0 < fps <= 1000 else _FALLBACK_FPS


def _frames(
    container: av.container.InputContainer, stream: av.VideoStream, limits: Limits, start: int
) -> Iterator[Frames]:
    stream.thread_count = 1
    _check_pixels(stream.width, stream.height, limits)
    converter, size = VideoReformatter(), None
    for count, frame in enumerate(container.decode(stream), start=1):
        _check_pixels(frame.width, frame.height, limits)
        width, height = size = size or (frame.width, frame.height)
        if count > start:
            rgb = converter.reformat(frame, width, height, "rgb24", interpolation=_EXACT, threads=1).to_ndarray()
            yield np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))
        if count == limits.frames or (count + 1) * width * height > limits.pixels:
            return


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.frame_pixels:
        raise MediaTooLarge(f"{width}x{height} pixels are over the cap of {limits.frame_pixels} for a frame")


def encode_video(media: Media, crf: int) -> bytes:
    """MP4 with H.264 (High, yuv420p, one keyframe in 48, no B-frame pyramid) at a quality `crf` of 0 (best) to 51.

    The same frames and crf give the same bytes: one thread, no times, no names of tools. Height and width must be even.
    Raises ValueError for an image or a wrong crf, and MediaError for frames that H.264 cannot hold.
    """
    if not 0 <= crf <= 51:
        raise ValueError(f"crf must be in 0..51, not {crf}")
    if media.frames.shape[1] % 2 or media.frames.shape[2] % 2:
        raise MediaError(f"4:2:0 needs an even height and width, not {media.frames.shape[1:3]}")
    return _encode(media, "libx264", "yuv420p", {"crf": str(crf), "preset": "veryfast", "g": "48", "bf": "2"})


def encode_lossless_video(media: Media) -> bytes:
    """MP4 with H.264 in RGB, quantiser 0: `decode_video` gives the same frames back. For the pool and data sets.

    The fastest preset: a quarter of the time to write and a third to read, for files a sixth larger.
    Raises ValueError for an image, and MediaError for frames that H.264 cannot hold.
    """
    return _encode(media, "libx264rgb", "rgb24", {"crf": "0", "preset": "ultrafast", "g": "48"})


def _encode(media: Media, codec: str, pixel_format: str, options: dict[str, str]) -> bytes:
    if media.modality is not Modality.VIDEO or media.fps is None:
        raise ValueError("an image cannot be encoded as a video: use encode_image")
    buffer = io.BytesIO()
    try:
        _write(buffer, media.frames, media.fps, codec, pixel_format, options)
    except av.FFmpegError as error:
        height, width = media.frames.shape[1:3]
        raise MediaError(f"frames of {width}x{height} pixels cannot be written as H.264: {error.strerror}") from error
    return buffer.getvalue()


def _write(
    buffer: io.BytesIO, frames: Frames, fps: float, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    with av.open(buffer, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.thread_count = 1
        converter = VideoReformatter()
        for rgb in frames:
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            container.mux(
                stream.encode(converter.reformat(frame, format=pixel_format, interpolation=_EXACT, threads=1))
            )
        container.mux(stream.encode(None))
