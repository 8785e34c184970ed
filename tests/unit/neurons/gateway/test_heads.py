"""Heads of requests as no library sends them: each is a problem with an id, and says what is wrong."""

from __future__ import annotations

import asyncio
import json

import pytest

from neurons.gateway.client import Client, GatewayError
from tests.unit.neurons.gateway.rig import Answer, Rig, picture

FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + picture(True) + b"\r\n--x--\r\n"


async def exchange(rig: Rig, sent: bytes) -> Answer:
    """What comes back for these bytes, the last answer on the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(rig.url.rpartition(":")[2]))
    writer.write(sent)
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return Answer(int(head[0].split()[1]), headers, json.loads(body))


def head(*lines: str) -> bytes:
    """A request with a picture and these headers."""
    needed = ["Host: x", "Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(FORM)}"]
    return "\r\n".join(["POST /v1/detections HTTP/1.1", *needed, *lines, "", ""]).encode("latin-1") + FORM


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("Idempotency-Key:",), "is empty"),
        (("Idempotency-Key:  ",), "is empty"),
        (("Idempotency-Key: " + "a" * 256,), "has 256"),
        (("Idempotency-Key: a b",), "a space"),
        (("Idempotency-Key: \xe4",), "a space, or others"),
        (("Idempotency-Key: a", "Idempotency-Key: a"), "Idempotency-Key stands there 2 times; send it once"),
        (("Idempotency-Key:", "Idempotency-Key: a"), "Idempotency-Key stands there 2 times"),
        (("Content-Type: text/plain",), "Content-Type stands there 2 times"),
        (("Authorization: Bearer x",), "Authorization stands there 2 times"),
    ],
)
async def test_headers_that_mean_nothing_clear(rig: Rig, lines: tuple[str, ...], words: str) -> None:
    """An empty, long, unprintable or second value is no key at all, and said to be none; no miner hears of it."""
    answer = await exchange(rig, head(f"Authorization: Bearer {rig.key}", *lines))
    assert words in answer.problem(400, "bad-request")
    assert not any(miner.asked for miner in rig.miners)


@pytest.mark.parametrize("line", ["Authorization:", "Authorization: Basic eDp5", "Authorization: {key}", "X: y"])
async def test_no_bearer(rig: Rig, line: str) -> None:
    """Empty, another scheme, none, or a key without one: 401, with the one that is taken."""
    answer = await exchange(rig, head(line.format(key=rig.key)))
    assert "Authorization: Bearer KEY" in answer.problem(401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("lines", [("",), ("a b",), ("x" * 65,), ("one", "two"), ("one", "one")])
async def test_an_unfit_id_is_replaced(rig: Rig, lines: tuple[str, ...]) -> None:
    """Proxies write ids of their own: an answer says which one holds, and refuses nothing."""
    bearer = f"Authorization: Bearer {rig.key}"
    answer = await exchange(rig, head(bearer, *(f"X-Request-Id: {line}" for line in lines)))
    assert answer.status == 200
    assert len(answer.headers["x-request-id"]) == 16


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"nonsense\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431, "head-too-large"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4_000, 431, "head-too-large"),
        (b"POST /v1/detections HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad-request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, "bad-request"),
    ],
)
async def test_what_no_application_sees(rig: Rig, sent: bytes, status: int, kind: str) -> None:
    """Bytes that are no HTTP get a problem as everything else does, and the connection ends."""
    answer = await exchange(rig, sent)
    assert answer.problem(status, kind)
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"


async def test_an_id_before_the_fault_comes_back(rig: Rig) -> None:
    """The client's own, where it came before what cannot be read."""
    start = b"POST / HTTP/1.1\r\nX-Request-Id: mine-7\r\nHost: x\r\n"
    for rest in (b"no colon\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
        assert (await exchange(rig, start + rest)).headers["x-request-id"] == "mine-7"


async def test_the_client_sends_what_it_was_given(rig: Rig) -> None:
    """An empty key is a mistake of its caller's, and not left out."""

    def ask() -> None:
        with Client(rig.url, rig.key) as client, pytest.raises(GatewayError, match="is empty"):
            client.detect(picture(True), idempotency_key="")

    await asyncio.to_thread(ask)


@pytest.mark.parametrize(
    ("lines", "status", "kind"),
    [
        ("", 400, "bad-request"),
        ("Host: a\r\nHost: a\r\n", 400, "bad-request"),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501, "transfer-encoding"),
        ("Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501, "transfer-encoding"),
    ],
)
async def test_framing(rig: Rig, lines: str, status: int, kind: str) -> None:
    """RFC 9112: one Host, and no coding but chunked, since no other is taken off."""
    answer = await exchange(rig, f"POST /v1/detections HTTP/1.1\r\n{lines}\r\n0\r\n\r\n".encode())
    assert answer.problem(status, kind)
    assert (await exchange(rig, b"GET /health HTTP/1.0\r\n\r\n")).status == 200


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/v1/jobs/none", "/nothing"])
async def test_head(rig: Rig, path: str) -> None:
    """RFC 9110: wherever GET is taken HEAD is, with the same status and length, and no body."""
    async with rig.session.get(rig.url + path) as got, rig.session.head(rig.url + path) as asked:
        assert (asked.status, asked.headers["content-length"]) == (got.status, got.headers["content-length"])
        assert await asked.read() == b""
