"""Times of frames, long clips, and the containers of people's files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import FILE_CLIPS, Clip, Limits, read_clip
from subnet.errors import MediaTooLarge, MediaUnreadable
from subnet.types import Frames
from tests.unit.subnet.codec.clips import encoded, with_matrix

SPREAD = Limits(frames=16, runs=4)


@pytest.fixture(scope="module")
def decoder() -> Iterator[VideoDecoder]:
    with VideoDecoder(FILE_CLIPS, timeout=60) as shared:
        yield shared


def greys(count: int, height: int = 48, width: int = 64) -> list[Frames]:
    """Frames each of which tells its number: 256 levels in the first half, 256-fold in the second."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    for number in range(count):
        frames[number, :, : width // 2] = 16 + 8 * (number % 28)
        frames[number, :, width // 2 :] = 16 + 8 * (number // 28)
    return list(frames)


def numbers(clip: Clip) -> list[int]:
    """Which frames of `greys` a clip holds."""
    middles = clip.media.frames[:, 24][:, (16, 48)].mean(axis=-1)
    return [round((low - 16) / 8) + 28 * round((high - 16) / 8) for low, high in middles]


def test_times_of_a_variable_rate_come_from_the_clip() -> None:
    """Ten frames, a pause of three seconds, ten more: each has its own time, and the duration holds the pause."""
    unit = Fraction(1, 90_000)
    ticks = [number * 3000 for number in range(10)] + [300_000 + number * 3000 for number in range(10)]
    clip = read_clip(encoded(greys(20), ticks=ticks, unit=unit))
    assert clip.times == pytest.approx([tick / 90_000 for tick in ticks], abs=1e-4)
    assert clip.duration >= ticks[-1] / 90_000
    assert numbers(clip) == list(range(20))


@pytest.mark.parametrize("shift", [-400, 0, 5000])
def test_times_count_from_the_first_frame(shift: int) -> None:
    """Clips whose first time is negative, or far from 0, begin at 0."""
    ticks = [shift + 40 * number for number in range(10)]
    clip = read_clip(encoded(greys(10), ticks=ticks, container="matroska"), FILE_CLIPS)
    assert clip.times == pytest.approx([0.04 * number for number in range(len(clip.times))], abs=2e-3)


def rewritten(data: bytes, times: list[int | None]) -> bytes:
    """The packets of a clip without B-frames in AVI, MP4 or Matroska with other presentation times."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(buffer, "w", format="avi") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet, time in zip(packets, times, strict=True):
            packet.stream, packet.pts = stream, time
            out.mux(packet)
    return buffer.getvalue()


def test_missing_and_doubled_times_go_by_the_rate() -> None:
    """In AVI no frame but a keyframe has a presentation time: times still rise, by the rate."""
    data = encoded(greys(8), codec="mpeg4", options={"q": "2"})
    clip = read_clip(rewritten(data, [None] * 8), FILE_CLIPS)
    assert len(clip.times) == 8
    assert clip.times == pytest.approx([0.04 * number for number in range(8)], abs=1e-3)


def test_a_long_clip_is_seen_over_its_whole_length() -> None:
    """Of 200 frames, four runs of four that lie in the four quarters, each with its own time."""
    clip = read_clip(encoded(greys(200), options={"g": "25", "bf": "3"}), SPREAD)
    seen = numbers(clip)
    assert len(seen) == 16
    for quarter in range(4):
        run = seen[4 * quarter : 4 * quarter + 4]
        assert run == list(range(run[0], run[0] + 4))
        assert 50 * quarter <= run[0] < 50 * (quarter + 1)
    assert clip.times == pytest.approx([0.04 * number for number in seen], abs=1e-3)
    assert clip.duration == pytest.approx(8.0, abs=0.05)


def test_frames_of_runs_are_those_of_the_whole_clip() -> None:
    """Seeking gives the very pixels that decoding from the start gives, turned alike, with B-frames and open ends."""
    data = with_matrix(encoded(greys(150), options={"g": "20", "bf": "3", "x264-params": "open-gop=1"}), 0, 1, -1, 0)
    whole, some = read_clip(data, Limits(frames=150)), read_clip(data, SPREAD)
    places = [whole.times.index(min(whole.times, key=lambda t, s=second: abs(t - s))) for second in some.times]
    assert len(places) == 16
    assert np.array_equal(some.media.frames, whole.media.frames[places])


def test_one_keyframe_and_a_small_budget() -> None:
    """Where nothing but the start can be afforded, that is what is seen, and the times say so."""
    data = encoded(greys(200), options={"g": "250", "sc_threshold": "0"})
    near = read_clip(data, Limits(frames=16, runs=4, decoded_pixels=60 * 48 * 64))
    assert near.times[-1] <= 60 * 0.04
    assert near.duration == pytest.approx(8.0, abs=0.05)
    far = read_clip(data, SPREAD)
    assert far.times[-1] > 6.5


def test_a_short_clip_is_seen_whole() -> None:
    """A clip within the limits is decoded from first to last frame, runs or not."""
    data = encoded(greys(16))
    assert numbers(read_clip(data, SPREAD)) == list(range(16))
    assert np.array_equal(read_clip(data, SPREAD).media.frames, read_clip(data).media.frames)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("matroska", "libx264"), ("webm", "libvpx-vp9"), ("webm", "libvpx"), ("avi", "mpeg4"), ("avi", "mjpeg")],
)
def test_containers_of_peoples_files(decoder: VideoDecoder, container: str, codec: str) -> None:
    """Matroska, WebM and AVI are decoded in the sandbox for people's files, and refused on the wire by name."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    data = encoded(greys(60), codec=codec, container=container, pixels=pixels)
    clip = decoder.read(data)
    assert clip.media.frames.shape == (32, 48, 64, 3)
    assert clip.times[-1] > 2.0
    assert clip.times == read_clip(data, FILE_CLIPS).times
    with pytest.raises(MediaUnreadable, match="not an MP4 file"):
        read_clip(data)


def test_action_cameras_are_shrunk_and_not_refused(decoder: VideoDecoder) -> None:
    """4000x3000 comes out at 4:3 with the pixels of 1080 lines; the wire still refuses it."""
    big = [np.full((3000, 4000, 3), 60 + 20 * number, np.uint8) for number in range(2)]
    data = encoded(big, options={"preset": "ultrafast", "crf": "40"})
    frames = decoder.read(data).media.frames
    assert frames.shape[1:3] == (1247, 1662)
    assert np.abs(frames.mean(axis=(1, 2, 3)) - [60, 80]).max() < 2
    with pytest.raises(MediaTooLarge, match="4000x3000"):
        read_clip(data)


def test_limits_reach_the_child() -> None:
    """All limits go to the child that decodes, those that are no numbers too."""
    with VideoDecoder(Limits(containers=("avi",))) as narrow, pytest.raises(MediaUnreadable, match="mov"):
        narrow.read(encoded(greys(4)))
