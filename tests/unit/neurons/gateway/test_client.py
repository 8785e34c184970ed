"""The client against a real gateway."""

from __future__ import annotations

import asyncio
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
