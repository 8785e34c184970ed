"""Files of strangers through the whole gateway: each ends in a typed refusal, soon, and no miner hears of it."""

from __future__ import annotations

import asyncio
import struct
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurons.gateway.requests.problems import Refusal
from neurons.gateway.requests.uploads import Upload, decoded, decoder, file_of
from subnet.codec.video import encode_video
from subnet.types import Media, Modality
from tests.unit.neurons.gateway.rig import Rig, clip, picture
from tests.unit.subnet.codec.clips import encoded
from tests.unit.subnet.codec.test_image import FOREIGN, LARGE, ODD, jpeg_with_scans, photo, png

MOST = 2**20
BAD: dict[str, tuple[Callable[[], bytes], int]] = {
    **{f"foreign {name}": (make, 422) for name, make in FOREIGN.items() if name not in ("tiff", "mp4")},
    **{f"odd {name}": (make, 422) for name, make in ODD.items()},
    **{f"large {name}": (make, 413) for name, make in LARGE.items() if name != "too many bytes"},
    "a PDF called picture": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", 422),
    "an archive": (lambda: b"PK\x03\x04" + bytes(100), 422),
    "1x1": (lambda: photo("PNG")[:16] + struct.pack(">II", 1, 1), 422),
    "one pixel high": (lambda: png(60000, 1, zlib.compress(bytes(180_001))), 422),
    "half a picture": (lambda: picture(True)[: len(picture(True)) // 2], 422),
    "scans without end": (lambda: jpeg_with_scans(900, 4000), 413),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic" + bytes(100), 422),
    "AVIF": (lambda: b"\0\0\0\x18ftypavif" + bytes(100), 422),
}  # fmt: skip


async def test_bad_pictures(rig: Rig) -> None:
    """The worst of what is sent as a picture: 413 or 422 with a reason, each in seconds, and the next good one is judged."""
    for name, (make, status) in BAD.items():
        data, start = make(), time.perf_counter()
        answer = await rig.post(data)
        assert answer.status in (status, 413 if len(data) > MOST else status), (name, answer.json)
        assert answer.problem(answer.status, "too-large" if answer.status == 413 else "unreadable")
        assert time.perf_counter() - start < 20, name
    assert not any(miner.asked for miner in rig.miners)
    assert (await rig.post(picture(True))).status == 200


async def test_heic_says_what_to_do(rig: Rig) -> None:
    """A format of phones that there is no safe decoder for is named, with the way out."""
    assert "heif-convert" in (await rig.post(BAD["HEIC"][0]())).problem(422, "unreadable")


async def test_what_is_no_media_hears_what_is_taken(rig: Rig) -> None:
    """The formats of the gateway, not the suffixes of files that a detector of one's own reads."""
    told = (await rig.post(b"%PDF-1.7")).problem(422, "unreadable")
    assert told.endswith("give a picture (JPEG, PNG or WebP) or a clip (MP4, QuickTime, Matroska, WebM or AVI)")


async def test_two_hundred_megabytes(rig: Rig) -> None:
    """Refused from the header, or once a file's bytes are there where none is said; never held, and the client is told."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        for _ in range(200):
            sent += 2**20
            yield bytes(2**20)

    for length in ({"Content-Length": str(200 * 2**20)}, {}):
        sent, headers = 0, {"Content-Type": "multipart/form-data; boundary=x", **length}
        answer = await rig.send("POST", "/v1/detections", data=endless(), headers=headers)
        assert "1 MiB" in answer.problem(413, "too-large")
        assert sent < 100 * 2**20


async def test_bodies_that_lie_or_end_early(rig: Rig) -> None:
    """A length that is no number, and a client that goes away: the gateway goes on."""
    host, port = rig.url.removeprefix("http://").split(":")
    for body in (
        b"Content-Length: 10\r\n\r\nabc",
        b"Content-Length: 9999999999999999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/detections HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + rig.key.encode() + b"\r\n" + body
        )
        await writer.drain()
        writer.close()
    assert (await rig.post(picture(True))).status == 200


@settings(max_examples=25)
@given(st.binary(max_size=300), st.text(max_size=40))
def test_any_form_is_read_or_refused(body: bytes, boundary: str) -> None:
    """Whatever stands in a body or its type, what comes of it is a refusal, or a file."""
    start = b'--x\r\nContent-Disposition: form-data; name="file"\r\n'
    for kind in ("multipart/form-data; boundary=x", f"multipart/form-data; boundary={boundary}", boundary):
        for data in (body, start + body, start + b"\r\n" + body + b"\r\n--x--\r\n"):
            with suppress(Refusal):
                assert file_of(kind, data, MOST) in data


def test_a_form_of_many_parts_is_no_work() -> None:
    """Ten thousand empty parts: refused at the second."""
    part = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n\r\n'
    with pytest.raises(Refusal, match="twice"):
        file_of("multipart/form-data; boundary=x", part * 10_000 + b"--x--\r\n", MOST)


@pytest.mark.parametrize("frames", [1, 15])
def test_clips_that_are_too_short(frames: int) -> None:
    """Sixteen frames that follow each other are what miners are asked."""
    with decoder(1) as clips, pytest.raises(Refusal, match="16 successive frames"):
        decoded(Upload(clip(True, frames), Modality.VIDEO), clips)


def test_a_clip_of_pauses_hears_of_its_rate() -> None:
    """Sixty frames in tens with pauses between: not that it is too short, but what would help."""
    ticks = [1000 * (number // 10) + 10 * number for number in range(60)]
    data = encoded([np.full((64, 64, 3), 100, np.uint8)] * 60, ticks=ticks)
    with decoder(1) as clips, pytest.raises(Refusal, match="export it at a constant frame rate"):
        decoded(Upload(data, Modality.VIDEO), clips)


def test_long_clips_are_looked_at_in_places() -> None:
    """Of a long clip two runs of 16 frames from places apart, whatever its length."""
    with decoder(1) as clips:
        runs = decoded(Upload(clip(True, 100), Modality.VIDEO), clips)
    assert [len(media.frames) for media in runs] == [16, 16]


def test_a_clip_of_an_hour() -> None:
    """However long it is shown: two runs of 16 frames, in the seconds that any clip may take."""
    frames = np.random.default_rng(0).integers(0, 256, (36, 64, 64, 3), dtype=np.uint8)
    data = encode_video(Media(np.repeat(frames, 100, axis=0), 1.0), 40)
    assert len(data) < 2**24
    start = time.perf_counter()
    with decoder(1) as clips:
        runs = decoded(Upload(data, Modality.VIDEO), clips)
    assert [len(media.frames) for media in runs] == [16, 16]
    assert time.perf_counter() - start < 45


def test_a_damaged_clip_is_not_judged() -> None:
    """Forty changed bytes, which FFmpeg would paint over: 422 with what to do, as for a picture."""
    data = bytearray(clip(True))
    for place in range(5000, 5040):
        data[place] ^= 0x5A
    with decoder(1) as clips, pytest.raises(Refusal, match="damaged.*; copy or download it again") as refused:
        decoded(Upload(bytes(data), Modality.VIDEO), clips)
    assert refused.value.problem.kind.status == 422


def test_garbage_called_a_clip() -> None:
    """Bytes that begin as an MP4 does end in a refusal."""
    with decoder(1) as clips, pytest.raises(Refusal):
        decoded(Upload(b"\0\0\0\x18ftypisom" + bytes(5000), Modality.VIDEO), clips)
