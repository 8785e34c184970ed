"""The dendrite against honest axons and against miners that do their worst, all over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from subnet.errors import SettingsError
from subnet.types import Endpoint, Failure, Modality, Neuron, Prediction, Query, Reply
from subnet.wire.dendrite import RETRY_SECONDS, Dendrite
from subnet.wire.endpoints import refusal
from subnet.wire.synapse import MAX_REPLY_BYTES, Envelope, digest_of, write_reply
from tests.unit.subnet.wire.rig import BODY, MINER, STRANGER, VALIDATOR, WEIGHTS, Rig, start, validator_row

IMAGE = Query(Modality.IMAGE, BODY, "image/jpeg")
VIDEO = Query(Modality.VIDEO, BODY, "video/mp4")

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest_asyncio.fixture
async def dendrite() -> AsyncIterator[Dendrite]:
    async with Dendrite(VALIDATOR, local=True) as dendrite:
        yield dendrite


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = await start(tmp_path / "nonces.sqlite")
    yield rig
    await rig.close()


@dataclass
class Hostile:
    """A raw TCP server that does what a test tells it; `heads` are the heads of the requests it saw."""

    server: asyncio.Server
    heads: list[str] = field(default_factory=list)

    @property
    def neuron(self) -> Neuron:
        port: int = self.server.sockets[0].getsockname()[1]
        return Neuron(3, MINER.ss58_address, "cold", 0.0, permit=False, endpoint=Endpoint("127.0.0.1", port))


@contextlib.asynccontextmanager
async def hostile(behave: Behaviour | bytes, *, forever: bool = False) -> AsyncIterator[Hostile]:
    """A server that reads each request, then behaves: a function, or bytes to send before it hangs up."""

    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                here.heads.append(head)
                length = next(line for line in head.split("\r\n") if line.lower().startswith("content-length"))
                await reader.readexactly(int(length.split(":")[1]))
                if isinstance(behave, bytes):
                    writer.write(behave)
                    await writer.drain()
                else:
                    await behave(reader, writer)
                if not forever:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    here = Hostile(server)
    try:
        yield here
    finally:
        server.close()
        for task, writer in zip(tasks, writers, strict=True):
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


def http(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A plain HTTP response."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def said(number: str, **changes: object) -> bytes:
    """A reply whose prediction is written exactly so, in a response."""
    fields = {"detector": "npr", "weights_hash": "", "signature": "0x" + "ab" * 64} | changes
    return http(f'{{"prediction": {number}, {json.dumps(fields)[1:]}'.encode())


async def once(dendrite: Dendrite, neuron: Neuron, query: Query = IMAGE, deadline: float = 3.0) -> Reply:
    (reply,) = await dendrite.ask([(neuron, query)], deadline)
    return reply


# --- honest miners -----------------------------------------------------------------------------------------------


async def test_an_honest_axon(dendrite: Dendrite, rig: Rig) -> None:
    """Both modalities come back as predictions, with the detector, its weights, and a latency."""
    replies = await dendrite.ask([(rig.neuron, IMAGE), (rig.neuron, VIDEO)], 5.0)
    assert [reply.answer for reply in replies] == [Prediction(0.25)] * 2
    for reply in replies:
        assert (reply.detector, reply.weights_hash, reply.status, reply.reason) == ("npr", WEIGHTS, 200, "")
        assert 0 < reply.latency < 5
    assert rig.asked == [BODY, BODY]


async def test_parameters_travel_and_are_signed(dendrite: Dendrite, rig: Rig) -> None:
    """Parameters of any characters arrive under a signature that fits."""
    odd = replace(IMAGE, parameters={"a b": "ä&=%/?#+", "": "\n"})
    assert (await once(dendrite, rig.neuron, odd)).answer == Prediction(0.25)


async def test_a_body_of_two_megabytes(dendrite: Dendrite, rig: Rig) -> None:
    """Large bodies go the same way, without a warning."""
    body = bytes(2 * 2**20 + 1)
    assert (await once(dendrite, rig.neuron, replace(VIDEO, body=body))).answer == Prediction(0.25)
    assert rig.asked == [body]


async def test_one_body_for_many(dendrite: Dendrite, rig: Rig) -> None:
    """Asks that share a body are separate requests, each with a nonce of its own, also under a clock that stands."""
    standing = Dendrite(VALIDATOR, local=True, now_ns=lambda: frozen)
    frozen = time.time_ns()
    async with standing:
        for _ in range(2):
            replies = await standing.ask([(rig.neuron, IMAGE)] * 20, 5.0)
            assert {reply.answer for reply in replies} == {Prediction(0.25)}
    assert len(rig.asked) == 40


async def test_nobody_to_ask(dendrite: Dendrite) -> None:
    """No asks, no replies."""
    assert await dendrite.ask([], 1.0) == []


async def test_a_refusal_keeps_its_status_and_reason(dendrite: Dendrite, rig: Rig) -> None:
    """4xx is REFUSED, with what the miner says about it."""
    rig.metagraph[VALIDATOR.ss58_address] = validator_row(permit=False)
    reply = await once(dendrite, rig.neuron)
    assert (reply.answer, reply.status) == (Failure.REFUSED, 403)
    assert "permit" in reply.reason


async def test_a_dead_detector_is_an_error(dendrite: Dendrite, tmp_path: Path) -> None:
    """5xx is ERROR."""

    async def broken(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        raise ZeroDivisionError

    rig = await start(tmp_path / "n.sqlite", answer=broken)
    reply = await once(dendrite, rig.neuron)
    assert (reply.answer, reply.status) == (Failure.ERROR, 500)
    await rig.close()


async def test_another_miners_endpoint(dendrite: Dendrite, rig: Rig) -> None:
    """A miner that publishes another miner's address is refused there: the request is bound to its receiver."""
    relay = replace(rig.neuron, hotkey=STRANGER.ss58_address)
    reply = await once(dendrite, relay)
    assert (reply.answer, reply.status) == (Failure.REFUSED, 401)
    assert rig.asked == []


async def test_a_dishonest_number_is_out_of_range(dendrite: Dendrite, tmp_path: Path) -> None:
    """A signed 1.5 is OUT_OF_RANGE and still names its detector."""
    rig = await start(tmp_path / "n.sqlite", say=lambda prediction: 1.5)
    reply = await once(dendrite, rig.neuron)
    assert (reply.answer, reply.detector) == (Failure.OUT_OF_RANGE, "npr")
    await rig.close()


# --- hostile miners ----------------------------------------------------------------------------------------------

BOMB = gzip.compress(bytes(10 * 2**20))
RESPONSES: dict[str, tuple[bytes, Failure]] = {
    "html": (http(b"<html><h1>It works!</h1></html>", headers="Content-Type: text/html\r\n"), Failure.MALFORMED),
    "nothing": (b"", Failure.UNREACHABLE),
    "empty body": (http(b""), Failure.MALFORMED),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", Failure.MALFORMED),
    "not http": (b"SSH-2.0-OpenSSH_9.9\r\n", Failure.MALFORMED),
    "binary": (bytes(range(256)) * 10, Failure.MALFORMED),
    "status that is none": (b"HTTP/1.1 abc OK\r\n\r\n", Failure.MALFORMED),
    "status 999": (http(b"", status="999 Odd"), Failure.MALFORMED),
    "switching protocols": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        Failure.MALFORMED,
    ),
    "NaN": (said("NaN"), Failure.OUT_OF_RANGE),
    "infinity": (said("Infinity"), Failure.OUT_OF_RANGE),
    "1.0001": (said("1.0001"), Failure.OUT_OF_RANGE),
    "-0": (said("-0"), Failure.OUT_OF_RANGE),
    "huge integer": (said("1" + "0" * 5000), Failure.OUT_OF_RANGE),
    "string": (said('"0.5"'), Failure.MALFORMED),
    "list": (said("[0.5]"), Failure.MALFORMED),
    "null": (said("null"), Failure.MALFORMED),
    "duplicate keys": (said('0.5, "prediction": 0.5'), Failure.MALFORMED),
    "deep json": (http(b"[" * 60_000), Failure.MALFORMED),
    "not signed by it": (said("0.5"), Failure.BAD_SIGNATURE),
    "10 GB announced": (b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n{", Failure.TOO_LARGE),
    "one byte too many": (http(b" " * (MAX_REPLY_BYTES + 1)), Failure.TOO_LARGE),
    "gzip bomb": (http(BOMB, headers="Content-Encoding: gzip\r\n"), Failure.MALFORMED),
    "deflate": (http(b"x", headers="Content-Encoding: deflate\r\n"), Failure.MALFORMED),
    "brotli": (http(b"x", headers="Content-Encoding: br\r\n"), Failure.MALFORMED),
    "plain, and called gzip": (
        said("0.5").replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1),
        Failure.MALFORMED,
    ),
    "cut in the body": (http(b'{"prediction": 0.5}')[:-5], Failure.UNREACHABLE),
    "cut in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", Failure.UNREACHABLE),
    "header of a megabyte": (http(b"{}", headers="X-Pad: " + "a" * 2**20 + "\r\n"), Failure.MALFORMED),
    "ten thousand headers": (http(b"{}", headers="".join(f"X-{i}: y\r\n" for i in range(10_000))), Failure.MALFORMED),
    "length that is none": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", Failure.MALFORMED),
    "two lengths": (http(b"{}", headers="Content-Length: 1\r\n"), Failure.MALFORMED),
    "chunk that is none": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", Failure.MALFORMED),
    "refused in colour": (http(b"\x1b[31m\x00no\n", status="403 Forbidden"), Failure.REFUSED),
    "redirect without a place": (http(b"", status="302 Found"), Failure.MALFORMED),
    "cookies": (http(b"{}", headers="Set-Cookie: a=b; Domain=\x7f\r\n"), Failure.MALFORMED),
}


@pytest.mark.parametrize(("response", "failure"), RESPONSES.values(), ids=RESPONSES.keys())
async def test_a_hostile_response(dendrite: Dendrite, response: bytes, failure: Failure) -> None:
    """Each bad response is its kind of failure, quickly, with a short printable reason."""
    async with hostile(response) as miner:
        reply = await once(dendrite, miner.neuron)
    assert reply.answer is failure, reply
    assert reply.latency < 2
    assert reply.reason
    assert len(reply.reason) < 400
    assert reply.reason.isprintable()


async def test_random_bytes_never_raise(dendrite: Dendrite) -> None:
    """Whatever bytes come back, the result is a failure."""
    rng = np.random.default_rng(5)
    prefixes = (
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        http(b"x" * 400)[:-400],
    )

    async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(prefixes[rng.integers(len(prefixes))] + rng.bytes(int(rng.integers(1, 500))))
        await writer.drain()

    async with hostile(noise) as miner:
        replies = await dendrite.ask([(miner.neuron, IMAGE)] * 150, 10.0)
    assert {type(reply.answer) for reply in replies} == {Failure}
    assert Failure.TIMEOUT not in {reply.answer for reply in replies}


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(dendrite: Dendrite, status: str) -> None:
    """A redirect is MALFORMED, and nobody calls the place it names."""
    async with hostile(said("0.5")) as trap:
        endpoint = trap.neuron.endpoint
        assert endpoint is not None
        for place in (f"{endpoint.url}/ImageSynapse", "http://169.254.169.254/latest/meta-data/"):
            async with hostile(http(b"", status=status, headers=f"Location: {place}\r\n")) as miner:
                assert (await once(dendrite, miner.neuron)).answer is Failure.MALFORMED
        assert trap.heads == []


async def test_nobody_listens(dendrite: Dendrite) -> None:
    """A port where nobody listens is UNREACHABLE."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        neuron = Neuron(1, MINER.ss58_address, "cold", 0.0, permit=False, endpoint=Endpoint("127.0.0.1", port))
        assert (await once(dendrite, neuron)).answer is Failure.UNREACHABLE


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_reset_before_and_in_the_body(dendrite: Dendrite) -> None:
    """RST at any point is UNREACHABLE."""

    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    async def in_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"predic')
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    for behave in (at_once, in_the_body):
        async with hostile(behave) as miner:
            assert (await once(dendrite, miner.neuron)).answer is Failure.UNREACHABLE


async def test_an_endless_reply(dendrite: Dendrite) -> None:
    """A reply without end is dropped at the cap; the miner cannot make us take gigabytes."""
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while sent < 2**30:
            writer.write(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
            await writer.drain()
            sent += 0x8000

    async with hostile(pour) as miner:
        reply = await once(dendrite, miner.neuron)
        assert reply.answer is Failure.TOO_LARGE
        await asyncio.sleep(0.1)
    assert sent < 32 * 2**20  # what sockets buffer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in said("0.5"):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("behave", [silent, trickle], ids=lambda behave: behave.__name__)
async def test_slow_miners_end_at_the_deadline(dendrite: Dendrite, behave: Behaviour) -> None:
    """Silence, a byte now and then: TIMEOUT at the deadline, not later."""
    async with hostile(behave) as miner:
        began = time.monotonic()
        reply = await once(dendrite, miner.neuron, deadline=0.5)
        assert 0.45 < time.monotonic() - began < 1.0
        assert reply.answer is Failure.TIMEOUT
        assert reply.latency == pytest.approx(0.5, abs=0.3)


async def test_slow_miners_delay_nobody(dendrite: Dendrite, rig: Rig) -> None:
    """Among forty silent miners the honest ones are answered as fast as alone, and the round ends at its deadline."""
    alone = max([(await once(dendrite, rig.neuron)).latency for _ in range(3)])
    async with hostile(silent) as miner:
        asks = [(miner.neuron, IMAGE)] * 40 + [(rig.neuron, IMAGE)] * 3
        began = time.monotonic()
        replies = await dendrite.ask(asks, 1.5)
        assert time.monotonic() - began < 2.0
    assert [reply.answer for reply in replies] == [Failure.TIMEOUT] * 40 + [Prediction(0.25)] * 3
    assert max(reply.latency for reply in replies[40:]) < max(10 * alone, 0.75)


INTERIM = {
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
    "large": b"HTTP/1.1 102 Processing\r\nX-Pad: " + b"a" * 8000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("response", INTERIM.values(), ids=INTERIM.keys())
@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["as fast as it can", "now and then"])
async def test_interim_responses_without_end(dendrite: Dendrite, rig: Rig, response: bytes, pause: float) -> None:
    """Twenty miners that send nothing else are MALFORMED within the deadline, and keep no honest one from being heard."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(response * (1 if pause else 2000))
            await writer.drain()
            await asyncio.sleep(pause)

    async with hostile(behave) as miner:
        asks = [(miner.neuron, IMAGE)] * 20 + [(rig.neuron, IMAGE)] * 3
        replies = await dendrite.ask(asks, 15.0)
    assert [reply.answer for reply in replies] == [Failure.MALFORMED] * 20 + [Prediction(0.25)] * 3


async def test_a_few_interim_responses_are_passed_over(dendrite: Dendrite) -> None:
    """HTTP allows them, so an honest miner behind a proxy that hints early is heard, on a kept connection too."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INTERIM["early hints"] * 3 + reply_to(miner.heads[-1]))
        await writer.drain()

    async with hostile(behave, forever=True) as miner:
        for _ in range(4):
            assert (await once(dendrite, miner.neuron)).answer == Prediction(0.75)
        assert len(miner.heads) == 4


@pytest.mark.parametrize("interim", [0, 4])
async def test_a_head_has_a_bound_in_bytes(dendrite: Dendrite, interim: int) -> None:
    """A good answer under 100 kB of fields, or behind interim responses of so many bytes, is MALFORMED."""
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(100 // (interim + 1)))

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, rest = reply_to(miner.heads[-1]).split(b"\r\n", 1)
        writer.write((b"HTTP/1.1 103 Early Hints\r\n" + fields + b"\r\n") * interim)
        writer.write(line + b"\r\n" + fields + rest)
        await writer.drain()

    async with hostile(behave) as miner:
        reply = await once(dendrite, miner.neuron)
    assert (reply.answer, reply.reason[:8]) == (Failure.MALFORMED, "not HTTP")


async def test_more_miners_than_connections(rig: Rig) -> None:
    """With fewer connections than miners, slow miners cannot use up the time of those behind them."""
    async with hostile(silent) as miner, Dendrite(VALIDATOR, local=True, concurrency=2) as dendrite:
        began = time.monotonic()
        asks = [(miner.neuron, IMAGE)] * 4 + [(rig.neuron, IMAGE)] * 4
        replies = await dendrite.ask(asks, 2.0)
        assert time.monotonic() - began < 2.5
    assert [reply.answer for reply in replies] == [Failure.TIMEOUT] * 4 + [Prediction(0.25)] * 4


async def test_order_is_the_order_of_asks(dendrite: Dendrite, rig: Rig) -> None:
    """Replies stand where their asks stood, whoever came first."""
    async with hostile(http(b"<html>")) as html, hostile(silent) as mute:
        asks = [
            (mute.neuron, IMAGE),
            (rig.neuron, IMAGE),
            (html.neuron, IMAGE),
            (replace(rig.neuron, endpoint=None), IMAGE),
        ]
        replies = await dendrite.ask(asks, 1.0)
    expected = [Failure.TIMEOUT, Prediction(0.25), Failure.MALFORMED, Failure.NO_ENDPOINT]
    assert [reply.answer for reply in replies] == expected


# --- connections that are kept -----------------------------------------------------------------------------------


def reply_to(head: str) -> bytes:
    """What an honest miner would answer to a request with this head."""
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    envelope = Envelope(int(fields["x-bittensor-nonce"]), digest_of(BODY), VALIDATOR.ss58_address, MINER.ss58_address)
    return http(write_reply(MINER, envelope, 0.75, "npr", ""))


async def test_a_connection_that_was_closed_meanwhile(dendrite: Dendrite) -> None:
    """A miner that hangs up after each reply without saying so is asked again on a new connection, under a new nonce."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = len(miner.heads)
        if count != 2:  # the second request, on the kept connection, finds it closed
            writer.write(reply_to(miner.heads[-1]))
            await writer.drain()
        else:
            writer.transport.abort()

    async with hostile(behave, forever=True) as miner:
        answers = [(await once(dendrite, miner.neuron)).answer for _ in range(2)]
        assert answers == [Prediction(0.75)] * 2
        assert len(miner.heads) == 3
        assert len({line for head in miner.heads for line in head.split("\r\n") if "Nonce" in line}) == 3


async def test_a_miner_that_always_hangs_up(dendrite: Dendrite) -> None:
    """There is one more try, not many."""
    async with hostile(b"") as miner:
        assert (await once(dendrite, miner.neuron)).answer is Failure.UNREACHABLE
        assert len(miner.heads) == 2


@pytest.mark.parametrize("broken", ["reset", "in the reply"])
async def test_connections_that_a_rival_breaks(dendrite: Dendrite, broken: str) -> None:
    """Of a hundred exchanges every tenth connection breaks: all hundred are answered, each under a nonce of its own."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(miner.heads) % 10 == 0:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{" if broken == "in the reply" else b"")
            await writer.drain()
            reset(writer)
            raise ConnectionError
        writer.write(reply_to(miner.heads[-1]))
        await writer.drain()

    async with hostile(behave) as miner:
        for _ in range(10):
            replies = await dendrite.ask([(miner.neuron, IMAGE)] * 9, 5.0)
            assert [reply.answer for reply in replies] == [Prediction(0.75)] * 9
        assert len(miner.heads) >= 99
        assert len({line for head in miner.heads for line in head.split("\r\n") if "Nonce" in line}) == len(miner.heads)


async def test_a_refused_connection_is_tried_again(dendrite: Dendrite) -> None:
    """A miner whose port refuses for a moment is answered for at the second try, within the deadline."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        neuron = Neuron(1, MINER.ss58_address, "cold", 0.0, permit=False, endpoint=Endpoint("127.0.0.1", port))
        asking = asyncio.create_task(once(dendrite, neuron))
        await asyncio.sleep(RETRY_SECONDS / 3)
        sock.listen()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        connection, _ = await loop.sock_accept(sock)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await loop.sock_recv(connection, 65536)
        await loop.sock_sendall(connection, reply_to(head.partition(b"\r\n\r\n")[0].decode()))
        assert (await asking).answer == Prediction(0.75)
        connection.close()


async def test_what_a_kept_connection_said_too_early(dendrite: Dendrite) -> None:
    """A second response that nobody asked for yet does not answer the next request."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply_to(miner.heads[-1]) * 2)
        await writer.drain()

    async with hostile(behave, forever=True) as miner:
        first = (await once(dendrite, miner.neuron)).answer
        await asyncio.sleep(0.1)
        second = (await once(dendrite, miner.neuron)).answer
    assert first in (Prediction(0.75), Failure.MALFORMED, Failure.UNREACHABLE)
    assert second in (Prediction(0.75), Failure.BAD_SIGNATURE, Failure.MALFORMED, Failure.UNREACHABLE)


async def test_closing_and_asking_again(rig: Rig) -> None:
    """close() drops the connections; the next ask opens new ones."""
    dendrite = Dendrite(VALIDATOR, local=True)
    for _ in range(2):
        assert (await once(dendrite, rig.neuron)).answer == Prediction(0.25)
        await dendrite.close()


async def test_giving_up_leaves_nothing_behind(dendrite: Dendrite) -> None:
    """Cancelling an ask cancels its requests."""
    before = len(asyncio.all_tasks())
    async with hostile(silent) as miner:
        asking = asyncio.create_task(dendrite.ask([(miner.neuron, IMAGE)] * 5, 30.0))
        await asyncio.sleep(0.2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) <= before + 1


# --- whom it calls at all ----------------------------------------------------------------------------------------

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"]
LOCAL = ["127.0.0.1", "127.0.0.2", "10.0.0.5", "192.168.1.1", "172.16.0.1", "::1", "fd00::1"]
NEVER = [
    *(
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "224.0.0.1",
        "239.1.2.3",
        "255.255.255.255",
        "ff02::1",
    ),
    *(
        "localhost",
        "example.com",
        "",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.1 ",
        "[::1]",
        "8.8.8.8:80",
    ),
]
V4_REFUSED = ["127.0.0.1", "10.0.0.5", "169.254.169.254", "168.63.129.16", "8.8.8.8"]


def carriers(v4: str) -> list[str]:
    """The IPv6 addresses that carry an IPv4 one: mapped, translated, compatible, NAT64 (two), 6to4, Teredo."""
    number = int(ipaddress.IPv4Address(v4))
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    inverted = number ^ 0xFFFFFFFF
    return [
        *(
            f"::ffff:{v4}",
            f"::ffff:{high}:{low}",
            f"::ffff:0:{high}:{low}",
            f"::{high}:{low}",
            f"64:ff9b::{high}:{low}",
        ),
        *(f"64:ff9b:1::{high}:{low}", f"2002:{high}:{low}::", f"2002:{high}:{low}::1"),
        f"2001:0:4136:e378:8000:63bf:{inverted >> 16:x}:{inverted & 0xFFFF:x}",
    ]


HIDDEN = [host for v4 in V4_REFUSED for host in carriers(v4)]
SPECIAL = [
    *("100.64.0.1", "100.100.100.200", "192.0.2.1", "198.51.100.9", "203.0.113.7", "198.18.0.1", "240.0.0.1"),
    *("168.63.129.16", "192.0.0.192", "192.0.0.9", "192.88.99.1", "2001:db8::1", "3fff::1", "3fff:fff::1", "5f00::1"),
    *("fec0::1", "feff::1", "100::1", "2001:2::1", "2001:10::1", "fd00:ec2::254"),
]
SERVICES = [
    *(1, 7, 21, 22, 23, 25, 53, 110, 111, 143, 389, 445, 465, 587, 636, 993, 995, 1023, 1433, 2049, 2375, 2379, 3306),
    *(3389, 5432, 5672, 5900, 5984, 6379, 6443, 9042, 9092, 9200, 10250, 11211, 15672, 27017),
]


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_are_called(host: str) -> None:
    """Ordinary public addresses are called, in either mode."""
    assert refusal(Endpoint(host, 8091), local=False) == ""
    assert refusal(Endpoint(host, 8091), local=True) == ""


@pytest.mark.parametrize("host", LOCAL)
def test_private_addresses_are_called_in_local_mode_only(host: str) -> None:
    """Loopback and private networks are for the local network."""
    assert refusal(Endpoint(host, 8091), local=False) != ""
    assert refusal(Endpoint(host, 8091), local=True) == ""


@pytest.mark.parametrize("host", NEVER)
def test_addresses_that_are_never_called(host: str) -> None:
    """No names, no odd spellings, nothing unspecified, link-local (cloud metadata) or multicast, in any mode."""
    assert refusal(Endpoint(host, 8091), local=False) != ""
    if host != "255.255.255.255":
        assert refusal(Endpoint(host, 8091), local=True) != ""


@pytest.mark.parametrize("host", [*HIDDEN, *SPECIAL])
def test_addresses_that_hide_others(host: str) -> None:
    """IPv4 inside IPv6, in any mode, and ranges reserved for documentation, tests, carriers or clouds, are not public."""
    assert refusal(Endpoint(host, 8091), local=False) != ""
    if host in HIDDEN:
        assert refusal(Endpoint(host, 8091), local=True) != ""


@pytest.mark.parametrize("port", SERVICES)
def test_ports_of_other_services_are_not_called(port: int) -> None:
    """A signed post is no gift for a database, a mail server or a control plane, in any mode."""
    assert "another service" in refusal(Endpoint("8.8.8.8", port), local=False)
    assert "another service" in refusal(Endpoint("127.0.0.1", port), local=True)


@pytest.mark.parametrize("port", [80, 443, 1024, 8000, 8080, 8091, 8443, 8888, 9000, 30_333, 49_152, 65_535])
def test_ports_of_real_miners_are_called(port: int) -> None:
    """The web's two, and what operators and containers give an axon."""
    assert refusal(Endpoint("8.8.8.8", port), local=False) == ""


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_that_are_none(port: int) -> None:
    """A port is 1 to 65535."""
    assert "port" in refusal(Endpoint("8.8.8.8", port), local=True)


async def test_a_validator_does_not_call_its_own_network(rig: Rig) -> None:
    """Without local mode a published loopback address is NO_ENDPOINT, and nothing connects."""
    async with Dendrite(VALIDATOR) as dendrite:
        reply = await once(dendrite, rig.neuron)
    assert reply.answer is Failure.NO_ENDPOINT
    assert "public" in reply.reason
    assert rig.asked == []


# --- our own faults ----------------------------------------------------------------------------------------------


def test_a_concurrency_of_nothing() -> None:
    """At least one connection."""
    with pytest.raises(SettingsError, match="concurrency"):
        Dendrite(VALIDATOR, concurrency=0)


STARVED = """
import asyncio, resource, sys
from bittensor.sp_core import Keypair
from subnet.wire.dendrite import RETRY_SECONDS, Dendrite
from subnet.errors import SettingsError
from subnet.types import Endpoint, Modality, Neuron, Query

async def main():
    key = Keypair.create_from_uri("//Validator")
    neuron = Neuron(0, key.ss58_address, "", 0.0, False, Endpoint("127.0.0.1", int(sys.argv[1])))
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    async with Dendrite(key, local=True) as dendrite:
        try:
            await dendrite.ask([(neuron, Query(Modality.IMAGE, b"x", "image/jpeg"))] * 100, 5.0)
        except SettingsError as error:
            print(error)

asyncio.run(main())
"""


async def test_out_of_file_descriptors_is_our_fault() -> None:
    """A validator without room for its connections says so, instead of failing the miners for it."""
    async with hostile(silent) as miner:
        assert miner.neuron.endpoint is not None
        port = str(miner.neuron.endpoint.port)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STARVED, port, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
    assert "ulimit -n" in out.decode(), err.decode()[-2000:]


async def test_a_connection_for_each_request() -> None:
    """Where connections are to be fresh, none is used twice; otherwise the second request rides on the first one's."""
    ports: list[int] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.append(writer.get_extra_info("peername")[1])
        writer.write(reply_to(miner.heads[-1]))
        await writer.drain()

    async with hostile(behave, forever=True) as miner:
        for fresh in (True, False):
            async with Dendrite(VALIDATOR, local=True, fresh=fresh) as dendrite:
                for _ in range(2):
                    assert (await once(dendrite, miner.neuron)).answer == Prediction(0.75)
                    await asyncio.sleep(0.01)
    assert ports[0] != ports[1]
    assert ports[2] == ports[3]
