"""A server that ends: each request in hand is answered, or told 503 with a time to come back, and nothing is logged."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from subnet.types import Modality, Prediction
from subnet.wire.http.server import RETRY_AFTER, BoundedProtocol, serve
from tests.unit.subnet.wire.rig import BODY, exchange, head, signed, start


async def test_who_waits_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One is answered in time, one is never, and one has sent half of its body: 200, 503, 503. No error is logged, and
    the work that goes on for nobody is cancelled."""
    goes_on, cancelled = asyncio.Event(), asyncio.Event()

    async def answer(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        if modality is Modality.VIDEO:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        await goes_on.wait()
        return Prediction(0.25)

    rig = await start(tmp_path / "n.sqlite", answer=answer, protocol=BoundedProtocol, body_seconds=10.0)
    image, half = (head(signed(), length=len(BODY)) for _ in range(2))
    video = head(signed(target="/VideoSynapse"), target="/VideoSynapse", length=len(BODY))
    asked = [asyncio.create_task(exchange(rig.serving.port, each)) for each in (image + BODY, video + BODY, half)]
    await asyncio.sleep(0.2)
    with caplog.at_level(logging.ERROR):
        stopping = asyncio.create_task(rig.serving.stop())
        goes_on.set()
        answered, *told = await asyncio.gather(*asked)
        await stopping
    assert answered.status == 200
    for each in told:
        assert (each.status, each.headers["retry-after"]) == (503, str(RETRY_AFTER))
        assert each.headers["connection"] == "close"
    assert cancelled.is_set()
    assert not caplog.records
    rig.store.close()


async def test_it_ends_at_the_event_and_waits_for_no_reader() -> None:
    """At once, whatever its program still does; a client that reads nothing of a large answer does not hold it."""

    async def large(scope: Any, receive: Any, send: Callable[[Any], Any]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"50000000")]})
        for _ in range(50):
            await send({"type": "http.response.body", "body": bytes(10**6), "more_body": True})

    server, event = await serve(large, "127.0.0.1", 0), asyncio.Event()
    server.stop_at(event)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head((), method="GET", target="/"))
        await asyncio.sleep(0.2)
        event.set()
        start_ = time.monotonic()
        await server.stop()
        assert time.monotonic() - start_ < 2
