"""*Try a file* by a real server on the loopback: reports, bounds, files that mean harm, and complaints."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from PIL import Image

from detectors.claims.shelf import Claims, claims_of
from detectors.loading import open_detector
from neurons.signals import pause
from neurons.web.report.complaints import Complaints
from neurons.web.server import HEADERS, application
from neurons.web.site import Site
from neurons.web.trying import DIFFERENT, MOST, RETRY, WAITING, Trying, decoder, forms
from subnet.codec import image as codec
from subnet.errors import CheckpointError
from subnet.protocols import Detector
from subnet.types import Media, Modality
from subnet.wire.http.server import serve
from tests.unit.detectors.folders import photos
from tests.unit.subnet.codec.test_image import FOREIGN, LARGE, ODD
from tests.unit.subnet.codec.test_sandbox import HOSTILE

PHOTO = codec.encode_image(photos(1)[0][1], 90)
NAMES = {Modality.IMAGE: "npr", Modality.VIDEO: "constant-video"}


def noise(*shape: int) -> Media:
    frames = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return Media(frames, None if shape[0] == 1 else 8.0)


@dataclass
class Rig:
    """A site without journals that tries files; `post` sends one as a browser's form does."""

    session: aiohttp.ClientSession
    url: str
    trying: Trying

    async def post(
        self, data: bytes, path: str = "/try", name: str = "photo.jpg", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(data), filename=name)
        async with self.session.post(f"{self.url}{path}", data=form, headers=headers) as response:
            return response.status, await response.text(), {k.lower(): v for k, v in response.headers.items()}

    async def get(self, path: str) -> tuple[int, str, dict[str, str]]:
        async with self.session.get(f"{self.url}{path}") as response:
            return response.status, await response.text(), {k.lower(): v for k, v in response.headers.items()}

    async def complain(self, **fields: str) -> tuple[int, str]:
        async with self.session.post(f"{self.url}/try/wrong", data=fields) as response:
            return response.status, await response.text()


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to hold")


@cache
def opened(modality: Modality) -> tuple[Detector, Claims]:
    detector = open_detector(NAMES[modality])
    return detector, claims_of(NAMES[modality], detector)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    with decoder() as clips:
        trying = Trying(opened, clips, Complaints(tmp_path / "web"))
        server = await serve(application(Site((), {}), forms(trying)), "127.0.0.1", 0, flags="--")
        async with aiohttp.ClientSession() as session:
            yield Rig(session, f"http://127.0.0.1:{server.port}", trying)
        await server.stop()


async def test_a_form_without_scripts_and_a_report(rig: Rig) -> None:
    """The front leads to the form; what it sends gives the report, under a policy that runs no script."""
    status, text, headers = await rig.get("/")
    assert (status, '<form class="try" method="post" enctype="multipart/form-data"' in text) == (200, True)
    assert headers.items() >= {**HEADERS, **DIFFERENT}.items()
    status, text, headers = await rig.post(PHOTO)
    assert status == 200
    assert headers.items() >= {**HEADERS, **DIFFERENT}.items()
    for words in ("P(synthetic) = ", "data:image/jpeg;base64,", "What the verdict rests on", "content credentials"):
        assert words in text
    assert "<script" not in text
    assert 'style="' not in text
    assert 'href="./try" aria-current="page"' in text
    for path in ("/incentive", "/health"):
        assert 'href="./try"' in (await rig.get(path))[1]
    assert ".report" in (await rig.get("/report.css"))[1]
    assert 'href="./report.css"' in text


async def test_a_site_without_journals_links_to_none(rig: Rig) -> None:
    """Nor says that anything was read from journals; the table of validators leads to the form, and is empty."""
    assert "Choose a file" in (await rig.get("/index"))[1]
    status, text, _ = await rig.get("/index.json")
    assert (status, json.loads(text)) == (200, {"validators": []})
    for path in ("/try", "/incentive", "/health", "/nothing"):
        text = (await rig.get(path))[1]
        assert ('index"' in text.replace("tabindex", ""), "Read from journals" in text, "Every journal" in text) == (
            False,
            False,
            False,
        ), path


async def test_the_same_for_machines(rig: Rig) -> None:
    """Bounds by GET; the verdict and the evidence by POST, without pictures."""
    assert json.loads((await rig.get("/try.json"))[1])["most_bytes"] == MOST
    status, text, headers = await rig.post(PHOTO, "/try.json")
    assert (status, headers["content-type"]) == (200, "application/json")
    found = json.loads(text)
    assert 0 <= found["p_synthetic"] <= 1
    assert found["detector"] == "npr"
    assert {clue["name"] for clue in found["evidence"]} >= {"content credentials", "generator tags", "rescaling"}


async def test_who_waits_is_told_how_long(rig: Rig) -> None:
    """By what the last files took, once there was one; without scripts, as soon as a file is chosen."""
    assert json.loads((await rig.get("/try.json"))[1])["seconds"] is None
    assert "up to\nhalf a minute" in (await rig.get("/try"))[1]
    assert (await rig.post(PHOTO))[0] == 200
    seconds = json.loads((await rig.get("/try.json"))[1])["seconds"]
    assert seconds >= 1
    assert f"took about {seconds} seconds each" in (await rig.get("/try"))[1]
    assert "form.try:valid .wait" in (await rig.get("/report.css"))[1]


async def test_the_form_names_what_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """AVIF and HEIC where they can be."""
    for there in (frozenset[str](), frozenset({"AVIF", "HEIC"})):
        monkeypatch.setattr("neurons.verdicts.kinds.readable", lambda there=there: there)
        text = (await rig.get("/try"))[1]
        assert ("TIFF, BMP, AVIF, HEIC; MP4, QuickTime" in text) is bool(there)
        assert (".avif" in text) is bool(there)


async def test_clips_are_judged_over_time(rig: Rig) -> None:
    """By the detector of clips, with a middle frame and without a map where it looks at nothing."""
    status, text, _ = await rig.post(codec.encode_video(noise(8, 96, 96), 20), name="clip.mp4")
    assert status == 200
    assert "8 frames between" in text
    assert "container tags" in text


async def test_one_picture_of_several_is_said_to_be_one(rig: Rig) -> None:
    """By the sentence behind the verdict, as a page and for machines; of a single picture nothing is said of that."""
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(noise(1, 64, 64).frames[0] // (1 + turn)) for turn in range(3))
    first.save(buffer, "GIF", save_all=True, append_images=others)
    for data, several in ((buffer.getvalue(), True), (PHOTO, False)):
        found = json.loads((await rig.post(data, "/try.json"))[1])
        assert (found["several"], "which were not looked at" in found["reason"]) == (several, several)
        text = (await rig.post(data))[1]
        assert ("one of several pictures in the file" in text, "which were not looked at" in text) == (several, several)


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(10_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD: dict[str, tuple[Callable[[], bytes], str, int, str]] = {
    "empty": (lambda: b"", "photo.jpg", 422, "empty"),
    "a renamed PDF": (lambda: b"%PDF-1.7\n1 0 obj\n" * 99, "photo.jpg", 422, "This is a PDF document"),
    "a PDF": (lambda: b"%PDF-1.7\n1 0 obj\n" * 99, "paper.pdf", 422, "give a picture (JPEG"),
    "a bomb": (bomb, "photo.png", 413, "smaller copy"),
    "cut": (lambda: PHOTO[: len(PHOTO) // 2], "photo.jpg", 422, "truncated"),
    "a clip of nothing": (lambda: b"\0\0\0\x18ftypisom" + bytes(500), "clip.mp4", 422, "export it anew"),
    "JPEG XL": (lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "photo.jxl", 422, "djxl"),
    "a script for a name": (lambda: b"<script>", "<script>alert(1)</script>.txt", 422, "give a picture"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_bad_files_are_refused_in_words(rig: Rig, kind: str) -> None:
    """By a page, or by a problem for machines, with the status, what to do, and nothing of this machine."""
    data, name, expected, words = BAD[kind]
    for path in ("/try", "/try.json"):
        status, text, _ = await rig.post(data(), path, name)
        assert (status, words in unescape(text)) == (expected, True), text
        assert "<script>alert" not in text
        assert "/tmp" not in text


async def test_the_worst_files_through_the_form(rig: Rig) -> None:
    """What is foreign, odd, too large or hostile: judged or refused in words, and the next good file is judged."""
    worst = {**FOREIGN, **ODD, **{name: make for name, make in LARGE.items() if name != "too many bytes"}, **HOSTILE}
    for name, make in worst.items():
        status, text, _ = await rig.post(make(), "/try.json", "file")
        assert status in (200, 413, 422), (name, text)
        assert "Traceback" not in text
    assert (await rig.post(PHOTO))[0] == 200


async def test_two_hundred_megabytes_are_refused_before_they_are_read(rig: Rig) -> None:
    """By the length that is said, in seconds; without a length nothing is read."""
    port = int(rig.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /try HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n")
    writer.write(b"Content-Length: 209715200\r\n\r\n" + bytes(2**20))
    assert b" 413 " in await reader.readline()
    writer.close()
    status, _, _ = await rig.post(bytes(MOST + 1))
    assert status == 413


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "file://"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_other_sites_send_nothing(rig: Rig, headers: dict[str, str], expected: int) -> None:
    """A form on another page is refused before its body is read; one's own is taken."""
    status, _, _ = await rig.post(PHOTO, **headers)
    assert status == expected


async def test_other_forms_are_refused(rig: Rig) -> None:
    """No file, two files, other fields, no form at all."""
    url = f"{rig.url}/try"
    async with rig.session.post(url, data=b"file=x", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 415
    for fields in ((), (("other", b"x"),), (("file", PHOTO), ("file", PHOTO))):
        form = aiohttp.FormData(default_to_multipart=True)
        for name, data in fields:
            form.add_field(name, data, filename="x.jpg")
        async with rig.session.post(url, data=form) as response:
            assert response.status == 400
    async with rig.session.put(url, data=b"") as response:
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, POST")
    async with rig.session.post(f"{rig.url}/health", data=b"") as response:
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


async def test_one_at_a_time_and_few_wait(rig: Rig) -> None:
    """While one is judged some wait; more are told to come again."""
    may = threading.Event()

    def slowly(modality: Modality) -> tuple[Detector, Claims]:
        may.wait()
        return opened(modality)

    rig.trying.opened = slowly
    sent = [asyncio.create_task(rig.post(PHOTO)) for _ in range(WAITING + 2)]
    (first,), others = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
    status, text, headers = first.result()
    assert (status, headers["retry-after"], "try again" in text) == (503, str(RETRY), True)
    assert json.loads((await rig.get("/try.json"))[1])["waiting"] == WAITING + 1
    may.set()
    assert {status for status, _, _ in await asyncio.gather(*others)} == {200}
    assert json.loads((await rig.get("/try.json"))[1])["waiting"] == 0


async def test_who_left_is_not_judged(rig: Rig) -> None:
    """Who hangs up behind another's file keeps no place, and who does in the middle is not judged to the end."""
    may, begun, judged = threading.Event(), threading.Event(), 0

    def slowly(modality: Modality) -> tuple[Detector, Claims]:
        nonlocal judged
        judged += 1
        begun.set()
        may.wait()
        return opened(modality)

    rig.trying.opened = slowly
    first = asyncio.create_task(rig.post(PHOTO))
    await asyncio.to_thread(begun.wait)
    others = [asyncio.create_task(rig.post(PHOTO)) for _ in range(WAITING)]

    async def waiting(count: int) -> None:
        async with asyncio.timeout(20):
            while json.loads((await rig.get("/try.json"))[1])["waiting"] != count:
                await pause(asyncio.Event(), 0.02)

    await waiting(WAITING + 1)
    for other in others:
        other.cancel()
    await waiting(1)
    first.cancel()
    await asyncio.sleep(0.1)
    may.set()
    await waiting(0)
    assert judged == 1
    assert (await rig.post(PHOTO))[0] == 200


async def test_without_weights_a_clear_word(rig: Rig) -> None:
    """A detector that cannot be opened: the reason, not a traceback."""

    def missing(modality: Modality) -> tuple[Detector, Claims]:
        raise CheckpointError("weights: npr.safetensors is missing; run `assay fetch npr`")

    rig.trying.opened = missing
    status, text, headers = await rig.post(PHOTO)
    assert (status, "assay fetch npr" in text, headers["retry-after"]) == (503, True, str(RETRY))


async def test_who_sends_nothing_takes_no_place(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads that stand still, more than may wait: the next is judged. What they did send has its bounds."""
    head = f"POST /try HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MOST}\r\n\r\n".encode()
    slow = [await asyncio.open_connection("127.0.0.1", int(rig.url.rpartition(":")[2])) for _ in range(WAITING + 2)]
    for _, writer in slow:
        writer.write(head + b"x" * 1000)
        await writer.drain()
    await until(lambda: rig.trying.arriving == 1000 * len(slow))
    assert (await rig.post(PHOTO, "/try.json"))[0] == 200
    monkeypatch.setattr("neurons.web.trying.ROOM", 1000 * len(slow) + len(PHOTO))
    status, _, headers = await rig.post(PHOTO, "/try.json")
    assert (status, headers["retry-after"]) == (503, str(RETRY))
    for _, writer in slow:
        writer.close()
        await writer.wait_closed()
    await until(lambda: not rig.trying.arriving)
    assert (await rig.post(PHOTO, "/try.json"))[0] == 200


async def test_texts_of_strangers_are_escaped(rig: Rig) -> None:
    """A file whose name and tags are HTML shows them as text."""
    exif = Image.Exif()
    exif[0x0131] = '<img src=x onerror="alert(1)"> Midjourney'
    buffer = io.BytesIO()
    Image.open(io.BytesIO(PHOTO)).save(buffer, "JPEG", exif=exif)
    status, text, _ = await rig.post(buffer.getvalue(), name='"><b>x</b>.jpg')
    assert status == 200
    assert "<img src=x" not in text
    assert "<b>x" not in text
    assert "Tags name a generator" in text
