"""The axon as a server: what it answers, what it says about itself, how it starts and stops."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from subnet.errors import MediaTooLarge, MediaUnreadable, SettingsError
from subnet.types import Failure, Modality, Prediction
from subnet.wire.admission import Policy
from subnet.wire.axon import AxonConfig, Overloaded, RequestHandler, Served, application
from subnet.wire.bodies import BodyLimits
from subnet.wire.http.listener import listen
from subnet.wire.http.server import serve
from subnet.wire.synapse import Envelope, digest_of, read_answer
from tests.unit.subnet.wire.rig import (
    BODY,
    MINER,
    STRANGER,
    VALIDATOR,
    WEIGHTS,
    Answered,
    Rig,
    exchange,
    head,
    post,
    signed,
    start,
)


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = await start(tmp_path / "nonces.sqlite")
    yield rig
    await rig.close()


def answering(error: Exception) -> Callable[[Modality, bytes, str], Awaitable[Prediction]]:
    async def answer(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        raise error

    return answer


async def get(rig: Rig, path: str) -> Answered:
    return await exchange(rig.serving.port, head([("Connection", "close")], method="GET", target=path))


def envelope_of(headers: list[tuple[str, str]], body: bytes = BODY) -> Envelope:
    nonce = int(dict(headers)["X-Bittensor-Nonce"])
    return Envelope(nonce, digest_of(body), VALIDATOR.ss58_address, MINER.ss58_address)


@pytest.mark.parametrize("target", ["/ImageSynapse", "/VideoSynapse"])
async def test_a_reply_is_signed_for_its_request(rig: Rig, target: str) -> None:
    """The answer of either synapse passes the validator's judgement, bound to this nonce and this body."""
    headers = signed(target=target)
    answer = await post(rig, headers, target=target)
    assert answer.headers["content-type"] == "application/json"
    verdict = read_answer(answer.body, envelope_of(headers))
    assert verdict.answer == Prediction(0.25)
    assert verdict.body is not None
    assert (verdict.body.detector, verdict.body.weights_hash) == ("npr", WEIGHTS)
    assert read_answer(answer.body, envelope_of(headers, b"another body")).answer is Failure.BAD_SIGNATURE


async def test_a_dishonest_number(tmp_path: Path) -> None:
    """A miner may say what it likes, signed; the validator calls it OUT_OF_RANGE."""
    rig = await start(tmp_path / "n.sqlite", say=lambda prediction: 1.5)
    headers = signed()
    assert read_answer((await post(rig, headers)).body, envelope_of(headers)).answer is Failure.OUT_OF_RANGE
    await rig.close()


ERRORS = [
    (MediaUnreadable("not a JPEG"), 422, "not a JPEG"),
    (MediaTooLarge("too many pixels"), 422, "too many pixels"),
    (Overloaded("the queue is full", 2.5), 503, "the queue is full"),
    (ZeroDivisionError("a bug"), 500, "Internal Server Error"),
]


@pytest.mark.parametrize(("error", "status", "reason"), ERRORS, ids=lambda value: str(value)[:20])
async def test_what_the_detector_raises(tmp_path: Path, error: Exception, status: int, reason: str) -> None:
    """Bad media is 422, no room is 503 with a Retry-After, a bug is 500 without its text; each is counted and the
    axon goes on."""
    rig = await start(tmp_path / "n.sqlite", answer=answering(error))
    answer = await post(rig, signed())
    assert answer.status == status
    assert reason in answer.body.decode()
    assert answer.headers.get("retry-after") == ("3" if status == 503 else None)
    assert "a bug" not in answer.body.decode()
    metrics = (await get(rig, "/metrics")).body.decode()
    assert f'assay_axon_requests_total{{status="{status}",synapse="ImageSynapse"}} 1.0' in metrics
    assert (await get(rig, "/health")).status == 200
    await rig.close()


async def test_health_ready_and_metrics(rig: Rig) -> None:
    """What a watchdog asks: alive, ready, and how many were answered or refused."""
    assert (await get(rig, "/health")).body == b'{"status":"ok"}'
    assert (await get(rig, "/ready")).status == 200
    await post(rig, signed())
    await post(rig, signed(signature=None), None)
    metrics = (await get(rig, "/metrics")).body.decode()
    assert 'assay_axon_requests_total{status="200",synapse="ImageSynapse"} 1.0' in metrics
    assert 'assay_axon_requests_total{status="401",synapse="ImageSynapse"} 1.0' in metrics
    assert 'assay_axon_seconds_count{synapse="ImageSynapse"} 1.0' in metrics


async def test_nobody_is_sent_elsewhere(rig: Rig) -> None:
    """An address with a stroke too many is none: no answer names the host that a stranger said."""
    answer = await get(rig, "/health/")
    assert (answer.status, "location" in answer.headers) == (404, False)


async def test_not_ready_without_a_metagraph(tmp_path: Path) -> None:
    """Until the metagraph is there the axon lives but is not ready."""
    rig = await start(tmp_path / "n.sqlite", metagraph=lambda: None)
    assert (await get(rig, "/health")).status == 200
    assert (await get(rig, "/ready")).status == 503
    await rig.close()


async def test_not_ready_while_nobody_can_ask(tmp_path: Path) -> None:
    """What the program says about its standing is the reason that /ready gives, beside whose axon it is."""
    standing = ["the axon is not published"]
    rig = await start(tmp_path / "n.sqlite", unready=lambda: standing[0], chain_age=lambda: 7.5)
    answer = await get(rig, "/ready")
    about = {"hotkey": rig.axon.keypair.ss58_address, "chain_age": 7.5}
    assert (answer.status, json.loads(answer.body)) == (503, {"ready": False, "why": standing[0], **about})
    assert "\nassay_axon_ready 0.0" in (await get(rig, "/metrics")).body.decode()
    standing[0] = ""
    assert json.loads((await get(rig, "/ready")).body) == {"ready": True, **about}
    assert "\nassay_axon_ready 1.0" in (await get(rig, "/metrics")).body.decode()
    await rig.close()


async def test_strangers_see_no_metrics_and_no_documentation(tmp_path: Path) -> None:
    """Only the networks of the monitors do; to others the paths do not exist, and /health and /ready are for all."""
    rig = await start(tmp_path / "n.sqlite", monitors=("192.0.2.0/24",))
    for path in ("/metrics", "/docs", "/openapi.json", "/docs/oauth2-redirect", "//metrics", "/nothing"):
        answer = await get(rig, path)
        assert (answer.status, answer.body) == (404, b"")
    assert [(await get(rig, path)).status for path in ("/health", "/ready")] == [200, 200]
    assert (await post(rig, signed())).status == 200
    await rig.close()


async def test_the_documentation_says_what_is_there(rig: Rig) -> None:
    """OpenAPI names both synapses, their raw bodies, the reply and the refusals; /docs shows it."""
    schema = json.loads((await get(rig, "/openapi.json")).body)
    for path, content in (("/ImageSynapse", "image/jpeg"), ("/VideoSynapse", "video/mp4")):
        operation = schema["paths"][path]["post"]
        assert list(operation["requestBody"]["content"]) == [content]
        assert {"200", "401", "403", "408", "413", "422", "429", "503"} <= operation["responses"].keys()
    assert set(schema["components"]["schemas"]["ReplyBody"]["properties"]) == {
        "prediction",
        "detector",
        "weights_hash",
        "signature",
    }
    assert (await get(rig, "/docs")).status == 200


async def test_a_modality_that_is_not_served(tmp_path: Path) -> None:
    """An axon without a video detector has no VideoSynapse."""
    rig = await start(tmp_path / "n.sqlite", served={Modality.IMAGE: Served("npr")})
    assert (await post(rig, signed(target="/VideoSynapse"), target="/VideoSynapse")).status == 404
    assert (await post(rig, signed())).status == 200
    await rig.close()


async def test_too_many_bodies_at_once(tmp_path: Path) -> None:
    """While a hotkey has as many bodies in hand as it may, another of its is told to come back, its body unread."""
    rig = await start(tmp_path / "n.sqlite", bodies=BodyLimits(hotkey_bodies=1))
    first = asyncio.create_task(exchange(rig.serving.port, head(signed(), length=len(BODY)) + BODY[:10]))
    await asyncio.sleep(0.1)
    answer = await post(rig, signed(), None)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert (await first).status == 408
    assert (await post(rig, signed())).status == 200
    await rig.close()


async def test_validators_are_served_while_guests_ask_for_ten_times_of_what_they_may(tmp_path: Path) -> None:
    """Guests in hand up to their part, the rest get 503 and a time to come back; a validator is answered meanwhile."""
    go = asyncio.Event()

    async def slow_for_guests(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        if hotkey != VALIDATOR.ss58_address:
            await go.wait()
        return Prediction(0.75)

    policy = Policy(require_permit=False, allow_unregistered=True, rate=1000.0, burst=1000.0)
    rig = await start(tmp_path / "n.sqlite", policy=policy, answer=slow_for_guests, bodies=BodyLimits(guest_bodies=2))
    guests = [asyncio.create_task(post(rig, signed(key=STRANGER))) for _ in range(20)]
    for _ in range(3):
        assert (await post(rig, signed())).status == 200
    done = asyncio.as_completed(guests)
    answers = [await next(done) for _ in range(18)]
    go.set()
    answers += [await last for last in done]
    assert sorted(answer.status for answer in answers) == [200] * 2 + [503] * 18
    assert {answer.headers["retry-after"] for answer in answers if answer.status == 503} == {"1"}
    await rig.close()


async def test_stopping_lets_requests_end(tmp_path: Path) -> None:
    """Stopping takes no new connection, answers the request in hand, and is quick."""
    entered = asyncio.Event()

    async def slowly(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        entered.set()
        await asyncio.sleep(0.5)
        return Prediction(0.75)

    rig = await start(tmp_path / "n.sqlite", answer=slowly)
    headers = signed()
    request = asyncio.create_task(post(rig, headers))
    await entered.wait()
    began = time.monotonic()
    stopping = asyncio.create_task(rig.serving.stop())
    await asyncio.sleep(0.25)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", rig.serving.port)
    assert read_answer((await request).body, envelope_of(headers)).answer == Prediction(0.75)
    await stopping
    assert time.monotonic() - began < 3
    rig.store.close()


async def test_a_server_that_stops_is_not_ready(rig: Rig) -> None:
    """Stopping drains the handler first: it says that it is not ready, and still answers what reaches it."""
    handler = RequestHandler(rig.axon)
    calls: list[int] = []
    serving = await serve(application(handler), "127.0.0.1", 0, drain=lambda: calls.append(serving.port))
    ready = head([("Connection", "close")], method="GET", target="/ready")
    assert (await exchange(serving.port, ready)).status == 200
    handler.drain()
    assert (await exchange(serving.port, ready)).status == 503
    assert (await exchange(serving.port, head(signed(), length=len(BODY)) + BODY)).status == 200
    assert calls == []
    await serving.stop()
    assert calls == [serving.port]


async def test_signals_are_left_to_the_program(tmp_path: Path) -> None:
    """A server that runs has taken no signal handler."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    rig = await start(tmp_path / "n.sqlite")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    await rig.close()


async def test_an_occupied_port(rig: Rig) -> None:
    """The message names the port and the flag."""
    app = application(RequestHandler(rig.axon))
    with pytest.raises(SettingsError, match=rf"{rig.serving.port}.*--axon\.port"):
        await serve(app, "127.0.0.1", rig.serving.port)


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 0), ("no-such-host.invalid", 0), ("127.0.0.1", 70_000)])
def test_an_address_that_cannot_be_had(host: str, port: int) -> None:
    """Other failures to listen name both flags."""
    with pytest.raises(SettingsError, match=r"--axon\.ip.*--axon\.port"):
        listen(host, port)


async def test_an_ipv6_address(rig: Rig) -> None:
    """An IPv6 host is served too, where the machine has one."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
        serving = await serve(application(RequestHandler(rig.axon)), "::1", 0)
    except (OSError, SettingsError):
        pytest.skip("no IPv6 here")
    _, writer = await asyncio.open_connection("::1", serving.port)
    writer.close()
    await serving.stop()


def test_importing_and_building_listens_nowhere(tmp_path: Path) -> None:
    """Making an application opens no socket and registers no global metric; two may live in one process."""

    async def answer(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        return Prediction(0.5)

    class Forgetful:
        def check_and_store(self, hotkey_ss58: str, nonce_ns: int) -> bool:
            return True

    axon = AxonConfig(MINER, lambda: None, Forgetful(), answer, {Modality.IMAGE: Served("npr")})
    assert application(RequestHandler(axon)) is not application(RequestHandler(axon))


async def test_a_reply_is_one_segment(rig: Rig) -> None:
    """Head and body of a reply go out together, so that the other side wakes once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    writer.write(head(signed(), length=len(BODY)) + BODY)
    segment = await reader.read(65536)
    assert segment.startswith(b"HTTP/1.1 200")
    assert segment.endswith(b'"}')
    writer.close()
