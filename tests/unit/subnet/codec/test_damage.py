"""Clips that a disk or a download broke, and honest ones that only look so."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import av
import numpy as np
import pytest

from subnet.codec.video import FILE_CLIPS, encode_video, read_clip
from subnet.errors import MediaUnreadable
from subnet.media import embedded
from subnet.types import Frames, Media, Modality
from tests.unit.subnet.codec.clips import Tag, encoded

Keep = Callable[[int, list[int]], bool]  # of the nth packet, by the numbers of those with keyframes
NOISE = 2.0  # levels of 255: what one changed byte may do to a frame without being told


@cache
def filmed() -> Frames:
    """30 frames of a real clip."""
    return read_clip(embedded.path(embedded.items(Modality.VIDEO)[0]).read_bytes()).media.frames[:30]


def alone(context: av.VideoCodecContext) -> None:
    context.thread_count = 1


@cache
def made(codec: str, container: str, options: tuple[tuple[str, str], ...] = (), tag: Tag = alone) -> bytes:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    return encoded(
        list(filmed()), codec=codec, pixels=pixels, container=container, options={**quiet, **dict(options)}, tag=tag
    )


def spans(data: bytes) -> list[tuple[int, int]]:
    """Where packets lie in the file."""
    with av.open(io.BytesIO(data)) as source:
        return [(packet.pos, packet.size) for packet in source.demux(video=0) if packet.size and packet.pos]


def changed(data: bytes, start: int, new: bytes) -> bytes:
    return data[:start] + new + data[start + len(new) :]


def made_up(data: bytes, true: Frames) -> bool:
    """Whether pixels come of a clip that are not those of the whole one."""
    try:
        frames = read_clip(data, FILE_CLIPS).media.frames
    except MediaUnreadable:
        return False
    count = min(len(frames), len(true))
    return bool(np.abs(frames[:count].astype(int) - true[:count]).mean(axis=(1, 2, 3)).max() > NOISE)


@pytest.mark.parametrize(
    ("codec", "container", "most"),
    [("own", "mp4", 0), ("mpeg4", "avi", 0), ("mpeg4", "mp4", 0), ("mjpeg", "avi", 6), ("mjpeg", "matroska", 6)],
)
def test_damage_is_refused_and_not_painted_over(codec: str, container: str, most: int) -> None:
    """4 KiB of zeros in any of twelve frames, or 40 other bytes: refused as damaged; of JPEG alone `most` may pass."""
    data = encode_video(Media(filmed(), 25.0), 20) if codec == "own" else made(codec, container, (("b", "20M"),))
    true = read_clip(data, FILE_CLIPS).media.frames
    rng, places = np.random.default_rng(0), [place for place in spans(data) if place[1] > 200][::2][:12]
    assert len(places) == 12
    for new, allowed in ((bytes(4096), 0), (rng.bytes(40), most)):
        assert sum(made_up(changed(data, start + size // 2, new), true) for start, size in places) <= allowed
    start, size = max(places, key=lambda place: place[1])
    with pytest.raises(MediaUnreadable, match="damaged, or a part of it is missing"):
        read_clip(changed(data, start + size // 3, bytes(4096)), FILE_CLIPS)


@pytest.mark.parametrize(
    ("codec", "container"), [("libx265", "mp4"), ("libx265", "matroska"), ("libvpx-vp9", "webm"), ("libvpx", "webm")]
)
def test_holes_where_a_decoder_sees_nothing(codec: str, container: str) -> None:
    """These decode whatever bytes they get; a run of zeros is told all the same."""
    data = made(codec, container, (("b", "4000k"),))
    start, size = max(spans(data), key=lambda place: place[1])
    assert read_clip(data, FILE_CLIPS).media.frames.any()
    with pytest.raises(MediaUnreadable, match="damaged"):
        read_clip(changed(data, start + 500, bytes(min(4096, size - 500))), FILE_CLIPS)


def test_flat_frames_have_no_holes() -> None:
    """Large frames of one colour, of which nearly nothing is written."""
    text = np.full((1080, 1920, 3), 255, np.uint8)
    text[540:556, ::7] = 0
    for codec, container in (("libvpx", "webm"), ("libvpx-vp9", "webm"), ("libx265", "mp4"), ("libsvtav1", "mp4")):
        fast = {"libsvtav1": {"preset": "12"}, "libx265": {"preset": "ultrafast"}}.get(codec, {"cpu-used": "8"})
        for picture in (text, np.zeros_like(text)):
            data = encoded([picture] * 3, codec=codec, container=container, options=fast)
            assert len(read_clip(data, FILE_CLIPS).media.frames) == 3, codec


def kept(data: bytes, container: str, keep: Keep) -> bytes:
    """The clip without some packets, as cutters write it that do not encode anew."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(buffer, "w", format=container) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        for number, packet in enumerate(packets):
            if keep(number, keys):
                packet.stream = stream
                out.mux(packet)
    return buffer.getvalue()


OPEN = {
    "libx264": ("mp4", (("x264-params", "open-gop=1:keyint=12:bframes=3"),)),
    "libx265": ("mp4", (("x265-params", "log-level=none:open-gop=1:keyint=12:bframes=3"),)),
    "libvpx-vp9": ("webm", (("g", "12"), ("lag-in-frames", "16"), ("auto-alt-ref", "1"))),
    "mpeg4": ("avi", (("g", "12"),)),
}


@pytest.mark.parametrize("codec", OPEN)
def test_clips_cut_without_encoding_are_taken(codec: str) -> None:
    """Cut at a keyframe, two frames before one, or behind a frame: whole frames come, the very ones of the whole clip."""
    container, options = OPEN[codec]
    data = made(codec, container, options)
    whole = read_clip(data, FILE_CLIPS).media.frames
    assert len(whole) == 30
    cuts: list[Keep] = [
        lambda n, keys: n >= keys[1],
        lambda n, keys: n >= keys[1] - 2,
        lambda n, keys: n < 20,
    ]
    for keep in cuts:
        frames = read_clip(kept(data, container, keep), FILE_CLIPS).media.frames
        assert len(frames) >= 10
        assert all((whole == frame).all(axis=(1, 2, 3)).any() for frame in frames)
