"""Requests that are sent ahead of their answers: a few are answered in order, and no more are held."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from subnet.types import Modality, Prediction
from subnet.wire.http.server import AHEAD, MAX_HEADERS
from tests.unit.subnet.wire.rig import BODY, Answered, Rig, head, read_response, signed, start

ALIVE = head((), method="GET", target="/health")
READY = head((), method="GET", target="/ready")


async def answers(reader: asyncio.StreamReader) -> list[Answered]:
    """All until the connection ends."""
    found = []
    while (answer := await asyncio.wait_for(read_response(reader), 10)).status:
        found.append(answer)
    return found


async def exchanged(rig: Rig, data: bytes) -> list[Answered]:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    writer.write(data)
    try:
        return await answers(reader)
    finally:
        writer.close()


async def test_a_few_come_in_order(tmp_path: Path) -> None:
    """As many as may wait, twice over one connection, posts with bodies among them."""
    rig = await start(tmp_path / "n.sqlite")
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    for _ in range(2):
        writer.write(head(signed(), length=len(BODY)) + BODY + ALIVE + READY + ALIVE + READY)
        found = [await asyncio.wait_for(read_response(reader), 10) for _ in range(1 + AHEAD)]
        assert [b"p_synthetic" in each.body or b"prediction" in each.body for each in found] == [True, *[False] * AHEAD]
        assert [b"hotkey" in each.body for each in found[1:]] == [False, True] * (AHEAD // 2)
    writer.close()
    await rig.close()


async def test_a_thousand_are_not_held(tmp_path: Path) -> None:
    """The first ones are answered, and then the connection ends."""
    rig = await start(tmp_path / "n.sqlite")
    found = await exchanged(rig, ALIVE * 1000)
    assert [each.status for each in found] == [200] * (1 + AHEAD)
    assert found[-1].headers["connection"] == "close"
    await rig.close()


async def test_who_never_reads_takes_no_memory(tmp_path: Path) -> None:
    """However much a client sends without a look at the answers: no more of its requests exist than may wait."""
    rig = await start(tmp_path / "n.sqlite")
    _, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    most = 0
    for _ in range(4):
        for _ in range(5):
            writer.write(ALIVE * 1000)
            await asyncio.sleep(0.01)
        gc.collect()  # those of other connections, too
        most = max(most, sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects()))
    assert most <= 2 + AHEAD
    writer.close()
    await rig.close()


@pytest.mark.parametrize("framing", [("Content-Length", str(len(ALIVE))), ("Transfer-Encoding", "chunked")])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_body_is_no_request(tmp_path: Path, method: str, framing: tuple[str, str]) -> None:
    """That of a request to upgrade, in a piece of its own or not: one answer, a refusal, and the connection ends."""
    rig = await start(tmp_path / "n.sqlite")
    asked = head((framing, ("Upgrade", "h2c"), ("Connection", "Upgrade")), method=method, target="/health")
    for pieces in ((asked, ALIVE), (asked + ALIVE, b"")):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
        writer.write(pieces[0])
        await asyncio.sleep(0.05)
        writer.write(pieces[1])
        found = [each.status for each in await answers(reader)]
        writer.close()
        assert found == [400]
    await rig.close()


async def test_nothing_is_upgraded(tmp_path: Path) -> None:
    """A request to upgrade that has no body is answered as if it asked for nothing, and is the last one."""
    rig = await start(tmp_path / "n.sqlite")
    for more in ((), (("Content-Length", "0"),)):
        asked = head((*more, ("Upgrade", "websocket"), ("Connection", "Upgrade")), method="GET", target="/health")
        found = await exchanged(rig, asked + READY)
        assert [(each.status, each.headers["connection"]) for each in found] == [(200, "close")]
    await rig.close()


@pytest.mark.parametrize(
    "rest",
    [
        b"nonsense\r\n\r\n",
        b"GET /hea",  # never finished
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000,
        head((("Transfer-Encoding", "chunked"),)) + b"zz\r\n",
        ALIVE + head((("Transfer-Encoding", "chunked"),)) + b"zz\r\n",
        ALIVE * 100,
    ],
    ids=["nonsense", "half a head", "a long head", "a bad body", "a bad body later", "too many"],
)
async def test_no_refusal_in_place_of_an_answer(tmp_path: Path, rest: bytes) -> None:
    """What is wrong behind a request that is in work changes nothing for that: its answer comes first, and is the
    detector's."""
    goes_on = asyncio.Event()

    async def answer(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        await goes_on.wait()
        return Prediction(0.25)

    rig = await start(tmp_path / "n.sqlite", answer=answer)
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    writer.write(head(signed(), length=len(BODY)) + BODY)
    await asyncio.sleep(0.05)
    writer.write(rest)
    await asyncio.sleep(0.6)  # half a head has .4 s
    goes_on.set()
    found = await answers(reader)
    assert [each.status for each in found] == [200] * len(found)
    assert b"prediction" in found[0].body or b"p_synthetic" in found[0].body
    assert found[-1].headers["connection"] == "close"
    writer.close()
    await rig.close()


async def test_many_headers(tmp_path: Path) -> None:
    """A hundred small ones pass, and thousands, which would take ten times their bytes, do not."""
    rig = await start(tmp_path / "n.sqlite")
    for count, status in ((100, 200), (MAX_HEADERS, 431)):
        lines = [("a", "b")] * count
        found = await exchanged(rig, head([*lines, ("Connection", "close")], method="GET", target="/health"))
        assert [each.status for each in found] == [status]
    await rig.close()
