"""Files at addresses of strangers: nothing but a public host is ever called, and it gives a file or a refusal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from neurons.gateway.requests.fetching import Fetching
from neurons.gateway.requests.names import AT_ONCE, WAITING
from neurons.gateway.requests.problems import Kind, Refusal
from tests.unit.neurons.gateway.rig import Rig, gateway, picture, until

MOST = 2**20
Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def head(status: str = "200 OK", **fields: object) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@asynccontextmanager
async def host(reply: Reply) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers as `reply` does: its address, and the heads of the requests that came."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            await reply(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/picture", heads


def giving(*parts: bytes) -> Reply:
    async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return reply


async def refused(fetching: Fetching, address: str) -> Refusal:
    with pytest.raises(Refusal) as told:
        await fetching.fetch(address)
    return told.value


@pytest.fixture
async def at_addresses(tmp_path: Path, journal: Path) -> AsyncIterator[Rig]:
    async with gateway(tmp_path, journal, schemes=("http", "https")) as made:
        yield made


async def test_a_picture_at_an_address(at_addresses: Rig) -> None:
    """Judged as if it had been sent; OpenAPI shows both ways."""
    rig, data = at_addresses, picture(True)
    async with host(giving(head(Content_Length=len(data)), data)) as (address, heads):
        answer = await rig.send("POST", "/v1/detections", json={"url": address})
    assert (answer.status, answer.json["verdict"]) == (200, "synthetic")
    assert b"Authorization" not in heads[0]
    for body in ({}, {"url": 7}, {"url": address, "more": 1}, [], "x"):
        (await rig.send("POST", "/v1/detections", json=body)).problem(400, "bad-request")
    told = (await rig.get("/openapi.json", key="")).json["paths"]["/v1/detections"]["post"]  # type: ignore[index]
    assert told["requestBody"]["content"].keys() == {"multipart/form-data", "application/json"}


async def test_it_is_off_by_default(rig: Rig) -> None:
    """Then JSON is no form, and nobody is called."""
    async with host(giving(head())) as (address, heads):
        (await rig.send("POST", "/v1/detections", json={"url": address})).problem(415, "not-multipart")
    assert heads == []


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "localhost", "LOCALHOST", "localhost.", "nowhere.invalid", "a" * 64 + ".org", "xn--a.org", "\u2460\u2461\u2466.0.0.1"],
)  # fmt: skip
async def test_what_is_not_public_is_not_called(name: str) -> None:
    """However it is written, and told as a name that does not exist is."""
    told = await refused(Fetching(("http", "https"), MOST), f"http://{name}/x")
    assert told.problem.kind is Kind.ADDRESS
    assert str(told) in ("the address cannot be found, or is not a public one", "this is no address"), told


@pytest.mark.parametrize(
    "address",
    ["", "x", "file:///etc/passwd", "ftp://example.org/x", "gopher://example.org/", "data:image/png;base64,AA", "http://example.org/x", "//example.org/x", "https://", "https:///x", "https://user@example.org/", "https://user:password@example.org/", "https://example.org:22/", "https://example.org:99999/", "https://[::1", "https://example.org/ x", "https://example.org/\r\nHost: y", "https://example.org/" + "x" * 3000],
)  # fmt: skip
async def test_addresses_of_other_kinds(address: str) -> None:
    """Schemes that the operator did not name, users, ports of other services, and what is none."""
    assert (await refused(Fetching(("https",), MOST), address)).problem.kind is Kind.ADDRESS


async def test_a_name_is_resolved_once_and_all_of_it_must_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """One private address among public ones refuses the name; what it resolves to later is never looked at."""
    asked, data = list[str](), picture(True)
    rows = [["127.0.0.1"], ["10.0.0.1"]]

    def resolve(name: str, port: int, *_: object) -> list[tuple[object, ...]]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in rows[min(len(asked), 2) - 1]]

    async with host(giving(head(Content_Length=len(data)), data)) as (address, heads):
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        named = address.replace("127.0.0.1", "pictures.example")
        assert await Fetching(("http",), MOST, local=True).fetch(named) == data
        assert (asked, b"Host: pictures.example" in heads[0]) == (["pictures.example"], True)
    rows[1] = ["93.184.215.14", "10.0.0.1"]
    assert "not a public one" in str(await refused(Fetching(("http",), MOST), "http://pictures.example/"))


async def test_slow_names_stop_nobody_else(at_addresses: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that never answers keeps those who asked it, as many as may wait; further addresses are 503 at once,
    and pictures and keys go on."""
    rig, free, real = at_addresses, Event(), socket.getaddrinfo
    asked = 0

    def resolve(name: str, *more: Any, **named: Any) -> Any:
        nonlocal asked
        if not str(name).endswith(".example"):
            return real(name, *more, **named)
        asked += 1
        free.wait(60)
        raise socket.gaierror("nobody knows")

    async def all_asked() -> bool:
        return asked == AT_ONCE

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    fetching = rig.api.fetching
    waiting = [asyncio.create_task(refused(fetching, f"http://{n}.example/")) for n in range(AT_ONCE + WAITING)]
    try:
        await until(all_asked)
        assert (await asyncio.wait_for(rig.post(picture(True)), 30)).status == 200
        more = await rig.send("POST", "/v1/detections", json={"url": "http://more.example/"})
        assert "names" in more.problem(503, "busy")
        said = {str(told) for told in await asyncio.gather(*waiting)}
        assert said == {"the address did not give its file within 2 s"}
        assert "within 2 s" in str(await refused(fetching, "http://late.example/"))  # who had gone made room
    finally:
        free.set()
    assert asked == AT_ONCE  # and was not looked up


BAD = {
    "redirect": (head("302 Found", Location="http://169.254.169.254/", Content_Length=0), Kind.ADDRESS),
    "missing": (head("404 Not Found", Content_Length=0), Kind.ADDRESS),
    "compressed": (head(Content_Encoding="gzip", Content_Length=3) + b"abc", Kind.ADDRESS),
    "large": (head(Content_Length=MOST + 1), Kind.TOO_LARGE),
    "ends early": (head(Content_Length=100) + b"abc", Kind.ADDRESS),
    "no http": (b"SSH-2.0-OpenSSH_9.2\r\n", Kind.ADDRESS),
    "nothing": (b"", Kind.ADDRESS),
    "long head": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, Kind.ADDRESS),
    "interim": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, Kind.ADDRESS),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_a_host_gives_instead(name: str) -> None:
    """A redirect is not followed; whatever else comes is refused, soon."""
    reply, kind = BAD[name]
    async with host(giving(reply)) as (address, heads):
        assert (await refused(Fetching(("http",), MOST, local=True), address)).problem.kind is kind
    assert 1 <= len(heads) <= 2


async def test_a_host_without_end_or_haste() -> None:
    """More than a file may have is not held, and one that drips is hung up on."""
    sent = 0

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(head())
        while sent < 2**28:
            writer.write(bytes(2**16))
            await writer.drain()
            sent += 2**16

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head())
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with host(endless) as (address, _):
        assert (await refused(Fetching(("http",), MOST, local=True), address)).problem.kind is Kind.TOO_LARGE
    assert sent < 16 * MOST
    async with host(drip) as (address, _):
        assert "within 0.5 s" in str(await refused(Fetching(("http",), MOST, local=True, seconds=0.5), address))


async def test_what_is_fetched_is_a_file_like_any_other(at_addresses: Rig) -> None:
    """A page instead of a picture, and a clip for a key of pictures alone."""
    rig = at_addresses
    for data, status, kind in ((b"<html></html>", 422, "unreadable"), (b"", 422, "unreadable")):
        async with host(giving(head(Content_Length=len(data)), data)) as (address, _):
            (await rig.send("POST", "/v1/detections", json={"url": address})).problem(status, kind)
