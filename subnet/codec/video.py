"""Video in this process, by FFmpeg through PyAV: MP4 to frames and back.

`decode_video` trusts its bytes not to break FFmpeg: our own files only. Untrusted bytes go through
`subnet.codec.sandbox`, which runs this same function in a child process under limits.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import dropwhile

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from subnet.codec.colour import EXACT, to_rgb
from subnet.codec.geometry import Geometry, clean_aperture, display_matrix, geometry, upright
from subnet.codec.sampling import spread
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Frames, Media, Modality

_CODECS = {
    "mov": ("h264", "hevc", "mpeg4", "vp9", "av1", "libdav1d", "mjpeg"),
    "matroska": ("h264", "hevc", "mpeg4", "vp8", "vp9", "av1", "libdav1d", "mjpeg"),
    "avi": ("h264", "hevc", "mpeg4", "mjpeg"),
}
# Nothing is opened beside the bytes at hand, and no codec runs that is not listed.
_OPTIONS = {"protocol_whitelist": "", "enable_drefs": "0", "use_absolute_path": "0"}
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
# Without this FFmpeg paints what it cannot read; of H.264 and MPEG-4 it says itself which frames these are.
_STRICT = {"hevc": {"err_detect": "explode"}, "mjpeg": {"err_detect": "explode"}}
# Zero bytes in a row that a packet may have, and one more for so many pixels: measured at most 5 of flat, lossless and
# static frames up to 4K, but 221 of VP8, whose stills have one for 360 pixels (`image_header`); flat JPEG may have one
# for 170.
_ZEROS, _PIXELS_PER_ZERO = 64, {"hevc": 10_000, "vp9": 10_000, "libdav1d": 10_000, "vp8": 200, "mjpeg": 100}
_NO_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails  # cover art, chapter stills
_FALLBACK_FPS = 25.0
_MOST_PACKETS = 1_000_000  # of a clip: ten hours at 25 a second
_DAMAGED = "the video cannot be decoded: it is damaged, or a part of it is missing"
MOST_TAGS, _LONGEST_NAME, LONGEST_TAG = 32, 64, 300  # characters
Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Limits:
    """What a clip may have, and what of it is decoded. More bytes or a bigger frame is refused.

    Of a clip with more frames than `frames` (or, all together, `pixels`) the first are decoded; with `runs` above 1 so
    many runs of successive frames, spread over its time, for at most `decoded_pixels` on the way to them. Frames over
    `shown_pixels` are shrunk to that while they are decoded. `containers` are names of FFmpeg's demuxers.
    """

    bytes: int = 64 * 2**20
    frame_pixels: int = 4096 * 2304
    frames: int = 144
    pixels: int = 64_000_000  # of all frames together
    runs: int = 1
    shown_pixels: int = 4096 * 2304
    decoded_pixels: int = 1_500_000_000
    seconds: int = 10  # of processor time in the sandbox
    containers: tuple[str, ...] = ("mov",)


# For people's own files: phones and action cameras up to 8K at 4:3, judged by 32 frames of up to 1080 lines.
FILE_CLIPS = Limits(
    bytes=512 * 2**20,
    frame_pixels=8192 * 6144,
    frames=32,
    pixels=32 * 1920 * 1080,
    runs=8,
    shown_pixels=1920 * 1080,
    seconds=60,
    containers=("mov", "matroska", "avi"),
)


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame (H, W, 3) at `seconds` from the first; `fps`, `duration` and `tags` are those of the whole clip."""

    pixels: Frames = field(repr=False)
    seconds: float
    fps: float
    duration: float
    tags: Tags = ()


@dataclass(frozen=True, eq=False)
class Clip:
    """What was decoded of a clip: `times` of its frames in seconds from the clip's first, which rise, the `duration` of
    the whole in seconds, and `tags`, what its container says of itself: names and texts of strangers."""

    media: Media
    times: tuple[float, ...]
    duration: float
    tags: Tags = ()


def read_clip(data: bytes, limits: Limits = Limits(), start: int = 0) -> Clip:
    """A clip as RGB frames, upright, in presentation order, from frame `start` on as many as `limits` allow.

    All frames take the size of the first. `fps` is the container's average rate (25 where it says none); times come
    from the presentation times, and where these are missing or do not rise from the rate. Frames before `start` count
    towards the limits and are not turned into RGB, which takes more time than decoding them.
    Raises MediaTooLarge, and MediaUnreadable, also for a clip whose damage shows on the way to its last frame here: in
    H.264, MPEG-4 and AV1 nearly all does, in MJPEG half, in HEVC, VP8 and VP9 holes of zeros and little else.
    """
    shots = list(read_frames(data, limits, start))
    times = tuple(shot.seconds for shot in shots)
    fps = shots[0].fps
    media = Media(np.stack([shot.pixels for shot in shots]), fps)
    return Clip(media, times, max(shots[0].duration, times[-1] + 1 / fps), shots[0].tags)


def decode_video(data: bytes, limits: Limits = Limits(), start: int = 0) -> Media:
    """The frames of `read_clip`. Raises as it does."""
    return read_clip(data, limits, start).media


def read_frames(data: bytes, limits: Limits, start: int = 0) -> Iterator[Shot]:
    """One frame after another from `start` on, at least one. Raises as `read_clip` does."""
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"{len(data)} bytes are more than the {limits.bytes} that a video may have")
    kind = _container(data)
    if kind not in limits.containers:
        raise MediaUnreadable("this is not an MP4 file" if kind is None else f"this is a {kind} file, not an MP4 file")
    some = False
    try:
        index = _index(data, kind) if limits.runs > 1 else []
        with _opened(data, kind) as container:
            for shot in _shots(container, data, index, limits, start):
                some = True
                yield shot
    except MemoryError as error:
        raise MediaTooLarge("the video needs more memory than it may have") from error
    except (av.FFmpegError, EOFError, OverflowError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        told = _DAMAGED if isinstance(error, av.InvalidDataError) else f"the video cannot be decoded: {reason}"
        raise MediaUnreadable(told) from error
    if not some:
        raise MediaUnreadable(f"the video has no frame {start}" if start else "the video has no frames")


def _container(data: bytes) -> str | None:
    """FFmpeg's name for the container that the first bytes announce."""
    if data[4:8] in _FIRST_BOXES:
        return "mov"
    if data[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    return "avi" if data[:4] == b"RIFF" and data[8:12] == b"AVI " else None


def _opened(data: bytes, kind: str) -> av.container.InputContainer:
    options = {**_OPTIONS, "codec_whitelist": ",".join(_CODECS[kind])}
    return av.open(io.BytesIO(data), format=kind, container_options=options, metadata_errors="replace")


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The clip itself: neither cover art nor stills of chapters, and the one that players take where there are more."""
    streams = [stream for stream in container.streams.video if not stream.disposition & _NO_PICTURE]
    if not streams:
        raise MediaUnreadable("the file has no video stream, perhaps sound alone; give one with pictures")
    stream = min(streams, key=lambda each: (each.frames == 1, not each.disposition & Disposition.default))
    codec = stream.codec_context.name if stream.codec_context else "unknown"
    if codec not in _CODECS[container.format.name.split(",")[0]]:
        raise MediaUnreadable(f"the codec {codec} is not taken; export it with H.264, H.265, VP9 or AV1")
    return stream


def _tags(container: av.container.InputContainer, stream: av.VideoStream) -> Tags:
    pairs = [*container.metadata.items(), *stream.metadata.items()][:MOST_TAGS]
    return tuple((name.replace("\0", "")[:_LONGEST_NAME], text.replace("\0", "")[:LONGEST_TAG]) for name, text in pairs)


def _rate(rate: Fraction | None) -> float:
    fps = float(rate) if rate else _FALLBACK_FPS
    return fps if 0 < fps <= 1000 else _FALLBACK_FPS


def _index(data: bytes, kind: str) -> list[tuple[int, bool]]:
    """Presentation time and whether it is a keyframe, of every frame that the container lists, in order of time."""
    entries = []
    with _opened(data, kind) as container:
        stream = _video_stream(container)
        for packet in container.demux(stream):
            time = packet.pts if packet.pts is not None else packet.dts
            if packet.size and time is not None and not packet.is_discard:
                entries.append((time, packet.is_keyframe))
            if len(entries) > _MOST_PACKETS:
                raise MediaTooLarge(f"the clip has over {_MOST_PACKETS} frames; cut it")
    return sorted(entries)


def _shots(
    container: av.container.InputContainer, data: bytes, index: list[tuple[int, bool]], limits: Limits, start: int
) -> Iterator[Shot]:
    stream = _video_stream(container)
    stream.thread_count = 1
    _check_pixels(stream.width, stream.height, limits)
    fps, unit = _rate(stream.average_rate or stream.guessed_rate), float(stream.time_base or 0)
    duration = (stream.duration or 0) * unit or (container.duration or 0) / av.time_base
    stream.codec_context.options = _STRICT.get(stream.codec_context.name, {})
    origin, frames = None, _whole(container, stream)
    if stream.codec_context.name == "mpeg4":  # whose decoder begins with any frame, on grey
        frames = dropwhile(lambda frame: not frame.key_frame, frames)
    if index and len(index) > _most_frames(stream, limits):
        origin, duration = index[0][0] * unit, (index[-1][0] - index[0][0]) * unit + 1 / fps
        frames = _chosen(container, stream, index, limits)
    converter, shape, last, tags = VideoReformatter(), None, None, _tags(container, stream)
    for count, frame in enumerate(frames, start=1):
        _check_pixels(frame.width, frame.height, limits)
        shape = shape or _geometry(stream, frame, data, limits)
        time = frame.time if frame.pts is not None else None
        if origin is None:
            origin = time or 0.0
        seconds = origin - 1.0 if time is None else time - origin
        if last is not None and seconds <= last:
            seconds = last + 1 / fps
        last = max(seconds, 0.0)
        if count > start:
            yield Shot(upright(to_rgb(converter, frame, shape.width, shape.height), shape), last, fps, duration, tags)
        if count == limits.frames or (count + 1) * shape.width * shape.height > limits.pixels:
            return


def _whole(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Frames from here on; what is shown before the first keyframe and cannot be decoded without others is passed over.

    Raises MediaUnreadable, and what PyAV does, where a frame is not as it was encoded.
    """
    since, ratio = math.inf, _PIXELS_PER_ZERO.get(stream.codec_context.name)
    hole = bytes(_ZEROS + stream.width * stream.height // ratio) if ratio else None
    for packet in container.demux(stream):
        if since == math.inf and packet.is_keyframe:
            since = -math.inf if packet.pts is None else packet.pts
        if packet.is_corrupt or (hole and hole in bytes(packet)):
            raise MediaUnreadable(_DAMAGED)
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            if packet.pts is None or packet.pts >= since:
                raise
            continue
        if any(frame.is_corrupt for frame in frames):
            raise MediaUnreadable(_DAMAGED)
        yield from frames


def _most_frames(stream: av.VideoStream, limits: Limits) -> int:
    shown = min(max(1, stream.width * stream.height), limits.shown_pixels)
    return int(max(1, min(limits.frames, limits.pixels // shown)))


def _geometry(stream: av.VideoStream, frame: av.VideoFrame, data: bytes, limits: Limits) -> Geometry:
    return geometry(
        frame.width,
        frame.height,
        aspect=stream.sample_aspect_ratio,
        aperture=clean_aperture(data, stream.id),
        matrix=display_matrix(frame),
        most_pixels=limits.shown_pixels,
    )


def _chosen(
    container: av.container.InputContainer, stream: av.VideoStream, index: list[tuple[int, bool]], limits: Limits
) -> Iterator[av.VideoFrame]:
    """Frames of runs that are spread over the clip, by seeking to the keyframes before them."""
    most, times = _most_frames(stream, limits), [time for time, _ in index]
    runs = min(limits.runs, most)
    affordable = limits.decoded_pixels // max(1, stream.width * stream.height)
    keys = [number for number, (_, key) in enumerate(index) if key]
    left, end = affordable + limits.frames, -1
    frames: Iterator[av.VideoFrame] = iter(())
    for run in spread(times, keys, runs=runs, length=most // runs, affordable=affordable):
        if run.key >= end:
            container.seek(times[run.key], stream=stream)
            frames = _whole(container, stream)
        end, wanted = run.first + run.count, run.count
        while wanted and left > 0 and (frame := next(frames, None)) is not None:
            left -= 1
            if frame.pts is None or frame.pts >= times[run.first]:
                wanted -= 1
                yield frame


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.frame_pixels:
        raise MediaTooLarge(f"{width}x{height} pixels are over the cap of {limits.frame_pixels:,} for a frame")


def encode_video(media: Media, crf: int) -> bytes:
    """MP4 with H.264 (High, yuv420p, one keyframe in 48, no B-frame pyramid) at a quality `crf` of 0 (best) to 51.

    The same frames and crf give the same bytes: one thread, no times, no names of tools, and no macroblock tree, whose
    code for vector units reads memory that nobody wrote beside B-frames. Height and width must be even.
    Raises ValueError for an image or a wrong crf, and MediaError for frames that H.264 cannot hold.
    """
    if not 0 <= crf <= 51:
        raise ValueError(f"crf must be in 0..51, not {crf}")
    if media.frames.shape[1] % 2 or media.frames.shape[2] % 2:
        raise MediaError(f"4:2:0 needs an even height and width, not {media.frames.shape[1:3]}")
    options = {"crf": str(crf), "preset": "veryfast", "g": "48", "bf": "2", "x264-params": "mbtree=0"}
    return _encode(media, "libx264", "yuv420p", options)


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
            container.mux(stream.encode(converter.reformat(frame, format=pixel_format, interpolation=EXACT, threads=1)))
        container.mux(stream.encode(None))
