"""*Try a file* by replicas over HTTP: the report of this machine's detector, several at once, and a clear word without them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import aiohttp
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response

from detectors.claims.shelf import Claims, claims_of
from detectors.loading import open_detector
from neurons.cluster import remote
from neurons.miner.settings import JudgeSettings
from neurons.web.program import elsewhere
from neurons.web.report.complaints import Complaints
from neurons.web.server import application
from neurons.web.site import Site
from neurons.web.trying import AT_ONCE, RETRY, WAITING, Trying, decoder, forms
from subnet.codec import image as codec
from subnet.protocols import Detector
from subnet.types import Modality
from subnet.wire.http.server import serve
from tests.unit.neurons.replicas.hosts import Answer, alike, listening, replicas
from tests.unit.neurons.running import Assay
from tests.unit.neurons.web.test_trying import PHOTO, Rig, noise, until

WANTED = JudgeSettings("npr", "constant-video", "cpu", "plain")
PICTURE = codec.encode_image(noise(1, 300, 400), 90)
CLIP = codec.encode_video(noise(8, 96, 96), 20)
LOG = structlog.get_logger()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little patience where nobody is."""
    monkeypatch.setattr(remote, "PATIENCE", 0.5)


@cache
def here(modality: Modality) -> tuple[Detector, Claims]:
    detector = open_detector(WANTED.of(modality))
    return detector, claims_of(WANTED.of(modality), detector)


@pytest.fixture
def judges() -> dict[Modality, Answer]:
    """Real replicas, without Ray."""
    return replicas(WANTED)


@asynccontextmanager
async def site(tmp_path: Path, port: int) -> AsyncIterator[Rig]:
    """A site whose files are judged at this port of the loopback."""
    stop = asyncio.Event()
    async with elsewhere(f"http://127.0.0.1:{port}", Complaints(tmp_path), None, stop, LOG) as trying:
        async with serving(trying) as rig:
            yield rig
        stop.set()


@asynccontextmanager
async def serving(trying: Trying) -> AsyncIterator[Rig]:
    server = await serve(application(Site((), {}), forms(trying)), "127.0.0.1", 0, flags="--")
    async with aiohttp.ClientSession() as session:
        yield Rig(session, f"http://127.0.0.1:{server.port}", trying)
    await server.stop()


async def test_the_report_is_the_one_of_this_machine(tmp_path: Path, judges: dict[Modality, Answer]) -> None:
    """As JSON number by number, as a page but for the map by a layer, in whose place stands why; the form says where
    pixels go."""
    with decoder() as clips:
        async with serving(Trying(here, clips, Complaints(tmp_path))) as rig:
            wanted = [json.loads((await rig.post(data, "/try.json"))[1]) for data in (PICTURE, CLIP)]
            assert "on other machines" not in (await rig.get("/try"))[1]
    async with listening(judges) as port, site(tmp_path, port) as rig:
        found = [json.loads((await rig.post(data, "/try.json"))[1]) for data in (PICTURE, CLIP)]
        _, page, _ = await rig.post(PICTURE)
        assert "detectors\non other machines, to which its pixels are sent" in (await rig.get("/try"))[1]
    assert "needs that on this machine" in found[0].pop("unexplained")
    explained = {"explained_box", "evidence_for", "view", "cells", "deletion"}
    assert alike(found[0], {key: value for key, value in wanted[0].items() if key not in explained})
    assert wanted[1] == found[1]
    assert wanted[0]["distance"] is not None
    for words in (
        "<dt>Where it looks</dt><dd>Not shown: a map of what npr",
        "P(synthetic) of each tile",
        "<dt>Distance</dt>",
    ):
        assert words in page


async def test_as_many_at_once_as_there_are_replicas(tmp_path: Path) -> None:
    """Three replicas have three files at once; some wait, and more are told to come again."""
    inside, may = 0, asyncio.Event()
    judges = replicas(WANTED, count=3)

    async def slowly(request: Request) -> Response:
        nonlocal inside
        if request.query_params.get("question") == "nature":
            inside += 1
            await may.wait()
        return await judges[Modality.IMAGE](request)

    async with listening({**judges, Modality.IMAGE: slowly}) as port, site(tmp_path, port) as rig:
        await until(lambda: rig.trying.at_once == 3)
        sent = [asyncio.create_task(rig.post(PHOTO)) for _ in range(3 + WAITING + 1)]
        (refused,), others = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        status, text, headers = refused.result()
        assert (status, headers["retry-after"], "try again" in text) == (503, str(RETRY), True)
        await until(lambda: inside == 3)
        assert json.loads((await rig.get("/try.json"))[1])["waiting"] == 3 + WAITING
        assert "3 files at a time" in (await rig.get("/try"))[1]
        may.set()
        assert {status for status, _, _ in await asyncio.gather(*others)} == {200}
        assert json.loads((await rig.get("/try.json"))[1])["waiting"] == 0


def test_not_more_at_once_than_memory_allows(tmp_path: Path) -> None:
    """However many replicas there are; and one where detectors are on this machine."""
    with decoder() as clips:
        trying = Trying(here, clips, Complaints(tmp_path), lanes=lambda: 1000)
        assert trying.at_once == AT_ONCE
        assert replace(trying, lanes=lambda: 0).at_once == 1
        assert replace(trying, lanes=None).at_once == 1


def told(text: str) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads(text)
    return found


async def test_replicas_that_go_are_told_and_come_back(
    tmp_path: Path, judges: dict[Modality, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After as a page and as a problem, without their address; other pages go on; no restart."""
    monkeypatch.setattr(remote, "LOOK_SECONDS", 0.05)
    async with listening(judges) as port:
        pass
    async with site(tmp_path, port) as rig:
        for _ in range(2):
            for path in ("/try", "/try.json"):
                status, text, headers = await rig.post(PHOTO, path)
                assert (status, headers["retry-after"]) == (503, str(RETRY))
                assert "The detectors do not answer now; try again in a moment." in text
                assert str(port) not in re.sub(r"nonce-\S+", "", text)
                if path.endswith("json"):
                    assert (headers["content-type"], told(text)["status"]) == ("application/problem+json", 503)
            assert (await rig.get("/incentive"))[0] == 200
            async with listening(judges, port):
                await until(lambda: rig.trying.lanes is not None and not _why(rig))
                assert (await rig.post(PHOTO))[0] == 200
            await until(lambda: bool(_why(rig)))


def _why(rig: Rig) -> str:
    """Why nothing answers, as the watching knows it."""
    opened = rig.trying.opened
    found: str = opened.args[0].why_not  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("answer", ["<html>welcome</html>", '{"told": {}}', ""])
async def test_another_program_at_the_address(tmp_path: Path, answer: str) -> None:
    """Its page, its JSON and its silence are 503, and nothing of what it says reaches the page."""

    async def rubbish(request: Request) -> Response:
        return Response(answer)

    async with listening(dict.fromkeys(Modality, rubbish)) as port, site(tmp_path, port) as rig:
        status, text, headers = await rig.post(PHOTO)
        assert (status, headers["retry-after"], "welcome" in text) == (503, str(RETRY), False)


async def test_bad_files_never_reach_the_replicas(tmp_path: Path) -> None:
    """They are decoded on this machine: what cannot be is refused as ever, and nobody is asked."""
    asked = 0

    async def counting(request: Request) -> Response:
        nonlocal asked
        asked += "question" in request.query_params
        return Response("", 500)

    async with listening(dict.fromkeys(Modality, counting)) as port, site(tmp_path, port) as rig:
        for data, status in ((PHOTO[: len(PHOTO) // 2], 422), (b"%PDF-1.7", 422), (b"", 422)):
            assert (await rig.post(data))[0] == status
        assert asked == 0
        assert (await rig.post(PHOTO))[0] == 503
        assert asked > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--try", "--detector.address", "head:8000"), "--detector.address must be http://HOST:PORT"),
        (("--try", "--detector.address", "http://user@:1"), "--detector.address must be http://HOST:PORT"),
        (("--detector.address", "http://127.0.0.1:8000"), "--detector.address: files are judged there with --try"),
        (("--try", "--device", "cpu", "--detector.address", "http://127.0.0.1:8000"), "--device cpu: with --detector.address"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(assay: Assay, words: tuple[str, ...], message: str) -> None:
    """The flag, and what to do; nothing is served."""
    ran = assay("web", *words)
    assert (ran.status, message in ran.message) == (2, True), ran.message
