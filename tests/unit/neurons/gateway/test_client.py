"""The client against a real gateway."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from neurons.gateway.client import Client, GatewayError
from neurons.gateway.schemas import Detection
from tests.unit.neurons.gateway.rig import Rig, clip, picture


async def test_it_asks_waits_and_tells(rig: Rig, tmp_path: Path) -> None:
    """A picture from a file, a clip once its job is done, and a refusal with its problem."""
    (tmp_path / "x.jpg").write_bytes(picture(True))

    def ask() -> tuple[Detection, Detection, GatewayError, GatewayError]:
        with Client(rig.url, rig.key) as client, Client(rig.url, "nonsense") as stranger:
            still, moving = client.detect(tmp_path / "x.jpg"), client.detect(clip(False), idempotency_key="c")
            with pytest.raises(GatewayError) as bad:
                client.detect(b"no media")
            with pytest.raises(GatewayError) as unknown:
                stranger.detect(b"")
            return still, moving, bad.value, unknown.value

    still, moving, bad, unknown = await asyncio.to_thread(ask)
    assert (still.modality, still.p_synthetic > 0.5) == ("image", True)
    assert (moving.modality, moving.p_synthetic > 0.5) == ("video", False)
    assert bad.problem is not None
    assert (bad.status, unknown.status) == (422, 401)
    assert bad.problem.request_id


async def test_it_comes_again_when_it_is_told_to(rig: Rig) -> None:
    """503 and 429 are tried again after Retry-After, for as long as its patience goes."""
    for miner in rig.miners:
        miner.broken = True

    def mend() -> None:
        for miner in rig.miners:
            miner.broken = False

    def ask(patience: float) -> Detection:
        with Client(rig.url, rig.key, patience=patience) as client:
            return client.detect(picture(True))

    with pytest.raises(GatewayError, match="none of the"):
        await asyncio.to_thread(ask, 0.0)
    asyncio.get_running_loop().call_later(1.0, mend)
    assert (await asyncio.to_thread(ask, 60.0)).p_synthetic > 0.5


@pytest.mark.parametrize("told", ["Wed, 21 Oct 2026 07:28:00 GMT", "-5", "nan", "", "3600"])
def test_any_time_to_come_again_is_taken(told: str) -> None:
    """A proxy may give a date, or nonsense: the refusal is told within the client's patience, and nothing else comes up."""

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Retry-After", told)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with (
            Client(f"http://127.0.0.1:{server.server_port}", "k", patience=0.2) as client,
            pytest.raises(GatewayError) as e,
        ):
            client.job("x")
        server.shutdown()
        thread.join()
    assert e.value.status == 503


Step = bytes | Callable[[socket.socket], None]
PICTURE = {
    "id": "d", "modality": "image", "verdict": "synthetic", "p_synthetic": 0.9, "interval": [0.8, 0.95], "agreement": 1, "asked": 5, "answered": 5, "measured_on": 9, "seconds": 0.1,
}  # fmt: skip
QUEUED, DONE = {"id": "j", "state": "queued", "expires": 1}, {"id": "j", "state": "done", "expires": 1}


def told(status: int, body: object = None, *more: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Connection: close", *more)
    return "\r\n".join((*lines, "", "")).encode() + content


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def dripping(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 10000\r\n\r\n")
    with suppress(OSError):
        while True:
            connection.sendall(b"{")
            time.sleep(0.1)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\n\r\n")
    with suppress(OSError):
        while True:
            connection.sendall(bytes(2**16))


@contextmanager
def answering(*steps: Step) -> Iterator[tuple[str, list[bytes]]]:
    """A server whose nth connection ends as the nth step says, each after it as the last one: address, and requests."""
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                request = connection.recv(2**16)
                if not request:
                    return  # ours, to end it
                asked.append(request)
                if b"multipart" in request and b"\r\n\r\nx\r\n--" not in request:
                    connection.recv(2**16)
                step = steps[min(len(asked), len(steps)) - 1]
                connection.sendall(step) if isinstance(step, bytes) else step(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        yield f"http://127.0.0.1:{port}", asked
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()


@pytest.mark.parametrize(
    ("step", "status"),
    [(told(200, b"<html>"), 200), (told(200), 200), (told(204), 204), (told(302, None, "Location: /x"), 302), (told(502, b"<html>"), 502), (told(200, {**DONE, "id": 7}), 200), (b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{", 0), (b"\0\1\2", 0), (reset, 0), (dripping, 200), (endless, 200)],
)  # fmt: skip
def test_whatever_comes_is_told_as_one_kind_of_error(step: Step, status: int) -> None:
    """A page, nothing, a redirect, half an answer, one that drips or never ends: GatewayError, soon, and one request."""
    with answering(step) as (url, asked), Client(url, "k", patience=4, timeout=1) as client:
        with pytest.raises(GatewayError) as error:
            client.detect(b"x")
        assert (error.value.status, error.value.problem, error.value.job, len(asked)) == (status, None, None, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:1", "http://[", "http://nowhere.invalid"])
def test_where_nobody_answers(url: str) -> None:
    """A closed port, a wrong address, and no such name."""
    with pytest.raises(GatewayError) as error, Client(url, "k", patience=0) as client:
        client.job("x")
    assert error.value.status == 0


def test_a_job_is_not_lost_with_a_connection() -> None:
    """A reset and a proxy's 502 between two looks are passed over; where it does not end, the error has the job's id."""
    done = {**DONE, "detection": {**PICTURE, "modality": "video"}}
    broken = (told(202, QUEUED), reset, told(502, b"<html>"), told(200, done))
    with answering(*broken) as (url, asked), Client(url, "k", patience=30) as client:
        assert client.detect(b"x").modality == "video"
        assert len(asked) == 4
    for last, status in ((reset, 0), (told(200, {**QUEUED, "state": "running"}), 504), (told(404), 404)):
        with answering(told(202, QUEUED), last) as (url, _), Client(url, "k", patience=1.5) as client:
            with pytest.raises(GatewayError) as error:
                client.detect(b"x")
            assert (error.value.status, error.value.job) == (status, "j")


def test_only_what_may_be_sent_twice_is() -> None:
    """A file whose connection broke goes again under its idempotency key, and not without one; 409 is waited for."""
    with answering(reset, told(409, None, "Retry-After: 1"), told(200, PICTURE)) as (url, asked):
        with Client(url, "k", patience=30) as client:
            assert client.detect(b"x", idempotency_key="a").id == "d"
        assert len(asked) == 3


def test_what_a_later_gateway_tells_more_is_passed_over() -> None:
    """New members of a detection, a job or a problem break no client; OpenAPI promises no end of them."""
    with answering(told(200, {**PICTURE, "new": 1})) as (url, _), Client(url, "k") as client:
        assert client.detect(b"x").id == "d"


def test_no_wait_is_none() -> None:
    """Retry-After: 0 is no leave to ask at once: three requests in a second, not hundreds."""
    with answering(told(503, None, "Retry-After: 0")) as (url, asked), Client(url, "k", patience=1.2) as client:
        with pytest.raises(GatewayError):
            client.job("x")
        assert len(asked) <= 3
