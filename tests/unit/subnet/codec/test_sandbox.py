"""The video decoder in child processes, against good clips, a hostile corpus, and children that die."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subnet.codec.sandbox import VideoDecoder
from subnet.codec.sandbox_child import tags_from, tags_to
from subnet.codec.video import Limits, decode_video, encode_lossless_video, encode_video
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable, SubnetError
from subnet.types import Media

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def decoder() -> Iterator[VideoDecoder]:
    with VideoDecoder() as shared:
        yield shared


def clip(frames: int = 6, height: int = 48, width: int = 64, fps: float = 24.0) -> Media:
    """A slope that moves right, brighter to the upper right, so that turns and order can be seen."""
    y, x = np.mgrid[:height, :width]
    slope = (180 * x / width + 60 * (1 - y / height)).astype(np.uint8)
    moved = [np.repeat((slope + 2 * t)[..., None], 3, axis=-1) for t in range(frames)]
    return Media(np.stack(moved).astype(np.uint8), fps)


GOOD = encode_video(clip(), 20)


def muxed(build: Callable[[av.container.OutputContainer], None], format: str = "mp4") -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as container:
        build(container)
    return buffer.getvalue()


def encoded(
    codec: str, sizes: list[tuple[int, int]], *, times: list[int] | None = None, pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> bytes:  # fmt: skip
    """Grey frames of the given (width, height), the nth as bright as 20 n, at `times` in 1/100 s."""

    def build(container: av.container.OutputContainer) -> None:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = sizes[0]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 100)
        for count, (width, height) in enumerate(sizes):
            grey = np.full((height, width, 3), 20 * count % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = (times or range(0, 4 * len(sizes), 4))[count], Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return muxed(build)


def with_sound(*, picture: bool) -> bytes:
    def build(container: av.container.OutputContainer) -> None:
        video = container.add_stream("libx264", rate=25) if picture else None
        sound = container.add_stream("aac", rate=44100, layout="mono")
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for grey in clip().frames:
                container.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))

    return muxed(build)


def turned(quarters: int) -> bytes:
    """GOOD with the display matrix of its track turned anticlockwise by quarters."""
    cos, sin = round(np.cos(quarters * np.pi / 2)), round(np.sin(quarters * np.pi / 2))
    matrix = struct.pack(">9i", cos << 16, -sin << 16, 0, sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    place = GOOD.index(b"tkhd") + 44
    return GOOD[:place] + matrix + GOOD[place + 36 :]


def patched(kind: bytes, offset: int, payload: bytes) -> bytes:
    """GOOD with bytes of one box overwritten, `offset` counted from after the box's name."""
    place = GOOD.index(kind) + 4 + offset
    return GOOD[:place] + payload + GOOD[place + len(payload) :]


def test_frames_and_rate_come_back(decoder: VideoDecoder) -> None:
    """A lossless clip comes out of the child as it went in, and as the decoder in this process gives it."""
    media = clip(16, 33, 47, 24000 / 1001)
    data = encode_lossless_video(media)
    again = decoder.decode(data)
    assert np.array_equal(again.frames, media.frames)
    assert again.fps == pytest.approx(24000 / 1001, rel=1e-6)
    assert np.array_equal(decoder.decode(GOOD).frames, decode_video(GOOD).frames)


def test_sound_is_no_hindrance(decoder: VideoDecoder) -> None:
    """A clip with an audio track gives its picture."""
    assert decoder.decode(with_sound(picture=True)).frames.shape == (6, 48, 64, 3)


def test_titles_in_odd_encodings_are_no_hindrance(decoder: VideoDecoder) -> None:
    """Metadata that is not UTF-8, as old tools wrote it, does not stop the picture."""
    assert len(decoder.decode(GOOD.replace(b"VideoHandler", b"Vid\xe9oHandler")).frames) == 6


def test_what_a_container_says_of_itself_comes_back(decoder: VideoDecoder) -> None:
    """Names and texts, cut, without zeros; many, long and odd ones are bounded, and the frames are there all the same."""

    def build(container: av.container.OutputContainer) -> None:
        container.metadata.update({"comment": "made with a tool", "title": "x" * 10_000, "artist": "caf\xe9 \u202e\n"})
        container.metadata.update({f"key{number}": "y" for number in range(200)})
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for grey in clip().frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode(None))

    for container in ("mp4", "matroska"):
        with VideoDecoder(Limits(containers=("mov", "matroska"))) as any_kind:
            found = any_kind.read(muxed(build, container))
        tags = {name.lower(): text for name, text in found.tags}
        assert tags["comment"] == "made with a tool"
        assert tags["title"] == "x" * 300
        assert len(found.tags) <= 32
        assert len(found.media.frames) == 6
    assert tags_from(tags_to((("a", "b"), ("c", "")))) == (("a", "b"), ("c", ""))
    assert tags_from(b"\xff\0\0odd") == (("\ufffd", ""),)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "libvpx-vp9"])
def test_common_codecs_are_taken(decoder: VideoDecoder, codec: str) -> None:
    """H.264, H.265, MPEG-4 and VP9 in MP4 decode."""
    frames = decoder.decode(encoded(codec, [(64, 48)] * 5)).frames
    assert frames.shape == (5, 48, 64, 3)
    assert np.allclose(frames.mean(axis=(1, 2, 3)), [0, 20, 40, 60, 80], atol=8)


def test_b_frames_come_in_order(decoder: VideoDecoder) -> None:
    """With B-frames (negative decode times, an edit list) frames come in the order of presentation."""
    data = encoded("libx264", [(64, 48)] * 12, options={"bf": "3", "b-adapt": "0", "b-pyramid": "normal"})
    levels = decoder.decode(data).frames.mean(axis=(1, 2, 3))
    assert len(levels) == 12
    assert (np.diff(levels) > 0).all()


def test_variable_rate(decoder: VideoDecoder) -> None:
    """Uneven times give all frames and the average rate."""
    media = decoder.decode(encoded("libx264", [(64, 48)] * 5, times=[0, 2, 30, 31, 100]))
    assert len(media.frames) == 5
    assert media.fps is not None
    assert 1 < media.fps < 10


@pytest.mark.parametrize("quarters", range(4))
def test_rotation_is_applied(decoder: VideoDecoder, quarters: int) -> None:
    """A track whose display matrix turns it comes out turned, as players show it."""
    expected = np.rot90(decoder.decode(GOOD).frames, quarters, axes=(1, 2))
    assert np.array_equal(decoder.decode(turned(quarters)).frames, expected)


def test_frames_that_change_size_take_the_first_size(decoder: VideoDecoder) -> None:
    """Resolution that changes mid-stream is brought to that of the first frame."""
    sizes = [(64, 48), (64, 48)]
    small, big = encoded("mjpeg", sizes, pixels="yuvj420p"), encoded("mjpeg", [(96, 80)] * 2, pixels="yuvj420p")

    def packets(data: bytes) -> list[bytes]:
        with av.open(io.BytesIO(data)) as container:
            return [bytes(packet) for packet in container.demux(video=0) if packet.size]

    def build(container: av.container.OutputContainer) -> None:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for count, payload in enumerate(packets(small) + packets(big)):
            packet = av.Packet(payload)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, count, count, Fraction(1, 25)
            container.mux(packet)

    assert decoder.decode(muxed(build)).frames.shape == (4, 48, 64, 3)


def test_frames_past_the_limits_are_not_decoded() -> None:
    """A long clip gives its first frames: as many as the caps on frames and on pixels allow."""
    data = encode_video(clip(40), 30)
    for limits in (Limits(frames=7), Limits(pixels=7 * 48 * 64 + 5)):
        with VideoDecoder(limits) as small:
            assert len(small.decode(data).frames) == 7
        assert len(decode_video(data, limits).frames) == 7


HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\0",
    "a jpeg": lambda: b"\xff\xd8\xff\xe0" + bytes(100),
    "playlist": lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "concat": lambda: b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "playlist behind a box": lambda: b"\0\0\0\x08free#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "matroska": lambda: muxed(lambda c: c.mux(c.add_stream("libx264", rate=25).encode(None)), "matroska"),
    "moov missing": lambda: GOOD[: GOOD.index(b"moov") - 4],
    "mdat missing": lambda: GOOD[: GOOD.index(b"mdat") - 4] + GOOD[GOOD.index(b"moov") - 4 :],
    "only a type box": lambda: GOOD[:32],
    "moov called free": lambda: GOOD.replace(b"moov", b"free"),
    "moov of 2^32": lambda: GOOD[: GOOD.index(b"moov") - 4] + b"\xff" * 4 + GOOD[GOOD.index(b"moov") :],
    "audio only": lambda: with_sound(picture=False),
    "1e9 frames declared": lambda: patched(b"stts", 8, struct.pack(">I", 10**9)),
    "1e9 sizes declared": lambda: patched(b"stsz", 8, struct.pack(">I", 10**9)),
    "10 h long": lambda: patched(b"stts", 12, struct.pack(">I", 2**31 - 1)),
    "time scale 0": lambda: patched(b"mdhd", 12, bytes(4)),
    "negative edit": lambda: patched(b"elst", 12, struct.pack(">i", -(2**31))),
    "encrypted": lambda: GOOD.replace(b"avc1\0\0", b"encv\0\0"),
    "external data": lambda: GOOD.replace(b"url \0\0\0\x01", b"url \0\0\0\0"),
    "offsets past the end": lambda: patched(b"stco", 8, b"\x7f\xff\xff\xff"),
    "an unlisted codec": lambda: encoded("png", [(64, 48)] * 2, pixels="rgb24"),
    "claims to be 60000x60000": lambda: GOOD.replace(struct.pack(">HH", 64, 48), struct.pack(">HH", 60000, 60000)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_media_or_a_typed_error(decoder: VideoDecoder, name: str) -> None:
    """Whatever comes, it ends in media or a MediaError with a text within 5 s, and the next clip decodes."""
    data, start = HOSTILE[name](), time.perf_counter()
    decoded_or_refused(decoder, data)
    assert time.perf_counter() - start < 6
    assert len(decoder.decode(GOOD).frames) == 6


REFUSED = {
    "nothing": "not an MP4", "playlist": "not an MP4", "concat": "not an MP4", "matroska": "not an MP4",
    "audio only": "no video stream", "an unlisted codec": "codec png", "moov missing": "cannot be decoded",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_why(decoder: VideoDecoder, name: str) -> None:
    """The message tells the sender what is wrong with the file."""
    with pytest.raises(MediaUnreadable, match=REFUSED[name]):
        decoder.decode(HOSTILE[name]())


def decoded_or_refused(decoder: VideoDecoder, data: bytes) -> str:
    """The reason of a typed refusal, or "" after a decode. Anything else that is raised fails the test."""
    try:
        decoder.decode(data)
    except MediaError as error:
        return str(error)
    return ""


def test_every_truncation(decoder: VideoDecoder) -> None:
    """Cut at every sixteenth a clip ends in media or a typed error."""
    for part in range(16):
        decoded_or_refused(decoder, GOOD[: len(GOOD) * part // 16])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_mutated_files(decoder: VideoDecoder, seed: int, changes: int, header: bool) -> None:
    """Bytes changed, cut or doubled, in the boxes or anywhere: media or a MediaError."""
    chance, data = random.Random(seed), bytearray(GOOD)
    for _ in range(changes):
        place = chance.randrange(data.find(b"moov") if header else 0, len(data))
        data[place : place + chance.choice([0, 1, 1, 4])] = chance.randbytes(chance.choice([0, 1, 1, 4]))
    decoded_or_refused(decoder, bytes(data))


def test_too_large_by_bytes_and_by_frame() -> None:
    """More bytes than allowed are refused before any child starts; a frame that is too big, by its own error."""
    with VideoDecoder(Limits(bytes=1000)) as small:
        with pytest.raises(MediaTooLarge, match="1000"):
            small.decode(GOOD)
        assert small.pids == ()
    with VideoDecoder(Limits(frame_pixels=2000)) as small, pytest.raises(MediaTooLarge, match="64x48"):
        small.decode(GOOD)
    with pytest.raises(MediaTooLarge):
        decode_video(encoded("mpeg4", [(4352, 2304)]))


@linux
def test_a_child_out_of_memory_is_a_typed_error(decoder: VideoDecoder) -> None:
    """A clip that needs more memory than a child has is refused, and the next one decodes."""
    big = encode_video(Media(np.zeros((2, 2160, 3840, 3), np.uint8), 25.0), 40)
    decoder.decode(GOOD)
    status = Path(f"/proc/{decoder.pids[0]}/status").read_text()
    size = 1024 * int(status.split("VmPeak:")[1].split()[0])
    with VideoDecoder(memory=size + 20 * 2**20) as tight:
        assert len(tight.decode(GOOD).frames) == 6
        with pytest.raises(MediaError):
            tight.decode(big)
        assert len(tight.decode(GOOD).frames) == 6


def patiently(decoder: VideoDecoder) -> int:
    """The frames of GOOD, in up to four tries: on a busy machine even a good clip may outlast a short timeout."""
    for _ in range(3):
        if not decoded_or_refused(decoder, GOOD):
            break
    return len(decoder.decode(GOOD).frames)


def test_a_stuck_child_is_killed_and_replaced() -> None:
    """A child that hangs is killed at the timeout: a typed error, and the next decode has a new child."""
    with VideoDecoder(timeout=0.7) as stuck:
        assert patiently(stuck) == 6
        (pid,) = stuck.pids
        os.kill(pid, signal.SIGSTOP)
        start = time.perf_counter()
        with pytest.raises(MediaUnreadable, match=r"took longer than 0\.7 s"):
            stuck.decode(GOOD)
        assert 0.6 < time.perf_counter() - start < 4
        assert patiently(stuck) == 6
        assert pid not in stuck.pids


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGXCPU])
def test_a_child_that_dies_in_a_decode(number: signal.Signals) -> None:
    """A crash inside a decode is a typed error that names the signal; the next decode works."""
    with VideoDecoder() as fragile:
        fragile.decode(GOOD)
        (pid,) = fragile.pids
        os.kill(pid, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(fragile.decode, GOOD)
            time.sleep(0.4)
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)
            with pytest.raises(MediaUnreadable, match=f"signal {int(number)}"):
                answer.result(timeout=10)
        assert len(fragile.decode(GOOD).frames) == 6


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie counts) within five seconds."""
    stat, deadline = Path(f"/proc/{pid}/stat"), time.monotonic() + 5
    while stat.exists() and ") Z" not in stat.read_text():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@linux
def test_a_child_that_died_between_decodes_goes_unnoticed() -> None:
    """When the system kills an idle child, the next decode simply gets another."""
    with VideoDecoder() as fragile:
        fragile.decode(GOOD)
        os.kill(fragile.pids[0], signal.SIGKILL)
        assert gone(fragile.pids[0])
        assert len(fragile.decode(GOOD).frames) == 6


def test_many_threads_share_two_children() -> None:
    """Sixteen threads get each its own clip back from two children."""
    clips = [clip(2 + count % 3, 32, 32 + 2 * count) for count in range(16)]
    with VideoDecoder(children=2, timeout=30) as shared, ThreadPoolExecutor(16) as threads:
        results = list(threads.map(shared.decode, map(encode_lossless_video, clips)))
        assert len(shared.pids) <= 2
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(clips, results, strict=True))


async def test_the_event_loop_goes_on_meanwhile(decoder: VideoDecoder) -> None:
    """While clips are decoded for it, a coroutine's other work runs."""
    task = asyncio.gather(*(decoder.decode_async(GOOD) for _ in range(4)))
    ticks = 0
    while not task.done():
        ticks += 1
        await asyncio.sleep(0.001)
    assert ticks > 1
    assert all(len(media.frames) == 6 for media in await task)


def test_close_ends_children_and_waiting_decodes() -> None:
    """After close no child is left, a decode that was under way has failed by a typed error, and none starts."""
    closing = VideoDecoder(timeout=30)
    closing.decode(GOOD)
    (pid,) = closing.pids
    os.kill(pid, signal.SIGSTOP)
    errors: list[SubnetError] = []

    def ask() -> None:
        try:
            closing.decode(GOOD)
        except SubnetError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.4)
    closing.close()
    closing.close()
    thread.join(5)
    assert len(errors) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(SubnetError, match="closed"):
        closing.decode(GOOD)


def test_a_decoder_that_was_never_used_starts_nothing() -> None:
    """Children start on first use; wrong numbers are refused at once."""
    with VideoDecoder() as idle:
        assert idle.pids == ()
    with pytest.raises(ValueError, match="timeout"):
        VideoDecoder(timeout=0)


def test_a_child_that_cannot_start_is_our_error() -> None:
    """Too little memory even to begin is not the sender's fault: SubnetError, not MediaError."""
    with VideoDecoder(memory=2**20) as hopeless, pytest.raises(SubnetError, match="could be started") as caught:
        hopeless.decode(GOOD)
    assert not isinstance(caught.value, MediaError)


@linux
def test_the_child_is_confined(decoder: VideoDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the environment, no file beyond three, no output files, and a cap on memory."""
    monkeypatch.setenv("WALLET_PASSWORD", "open sesame")
    with VideoDecoder(memory=512 * 2**20) as confined:
        confined.decode(GOOD)
        proc = Path(f"/proc/{confined.pids[0]}")
        environment = (proc / "environ").read_bytes()
        limits = {line[:25].strip(): line[25:].split()[:2] for line in (proc / "limits").read_text().splitlines()}
    assert b"sesame" not in environment
    assert b"HOME=" not in environment
    assert limits["Max open files"] == ["3", "3"]
    assert limits["Max file size"] == ["0", "0"]
    assert limits["Max address space"] == [str(512 * 2**20)] * 2
    assert limits["Max cpu time"][0] != "unlimited"


@linux
def test_children_do_not_outlive_their_parent() -> None:
    """A parent that dies without a word takes its children along."""
    program = (
        "import os, sys\nfrom subnet.codec.sandbox import VideoDecoder\n"
        "decoder = VideoDecoder()\ndecoder.decode(sys.stdin.buffer.read())\n"
        "print(*decoder.pids, flush=True)\nos._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=GOOD, capture_output=True, check=True, timeout=60)
    assert gone(int(done.stdout))
