"""`assay doctor`: each check against the state that it is there to find."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from neurons import settings as s
from neurons.doctor import machine, network
from neurons.doctor.machine import Health
from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron
from subnet.chain.devnode.node.server import devnode
from tests.unit.neurons.running import Assay

ABSENT = "ws://127.0.0.1:9"  # the discard port: nobody listens


@contextmanager
def web(date: str | None) -> Iterator[str]:
    """A web server on loopback whose answers carry `date`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            if date is not None:
                self.send_header("Date", date)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0, Health.OK), (60, Health.FAIL), (-60, Health.FAIL)], ids=["right", "ahead", "behind"]
)
def test_clock_is_compared(shift: int, verdict: Health) -> None:
    """A clock a minute away from the server's fails with the fix; a right one passes."""
    with web(formatdate(time.time() - shift, usegmt=True)) as url:
        (found,) = network.clock(url)
    assert found.verdict is verdict
    assert ("timedatectl" in found.fix) == (verdict is not Health.OK)
    if shift:
        assert ("ahead" in found.found) == (shift > 0)


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_a_server_without_a_date_only_warns(date: str | None) -> None:
    """What cannot be compared is said, and is no failure."""
    with web(date) as url:
        assert [found.verdict for found in network.clock(url)] == [Health.WARN]


def test_packages_of_another_distribution() -> None:
    """A distribution that is not there fails; the project's own dependencies are all as required."""
    assert [found.verdict for found in machine.packages("assay-of-nobody")] == [Health.FAIL]
    assert [found.verdict for found in machine.packages()] == [Health.OK]


def test_a_port_that_is_taken() -> None:
    """An occupied port fails and names the flag; once free it passes."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        (found,) = network.port(s.AxonSettings(port=number, ip="127.0.0.1"))
    assert found.verdict is Health.FAIL
    assert "--axon.port" in found.fix
    assert [f.verdict for f in network.port(s.AxonSettings(port=number, ip="127.0.0.1"))] == [Health.OK]


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """Free space is that of the nearest folder that exists, and nothing is made."""
    (found,) = machine.disk(tmp_path / "not" / "yet")
    assert found.verdict in (Health.OK, Health.WARN)
    assert not (tmp_path / "not").exists()


async def test_chain_and_registration(tmp_path: Path) -> None:
    """On a living node the block is told, and whether the hotkey stands in the metagraph."""
    known, stranger = (wallet_from_seed(name, tmp_path, "doctor") for name in ("known", "stranger"))
    hotkey = known.hotkey.ss58_address
    async with devnode(Genesis(7, (GenesisNeuron(hotkey, hotkey, 10.0),)), instant=True) as node:
        subtensor = s.SubtensorSettings(chain_endpoint=node.endpoint)
        found = await network.chain(subtensor, 7, known, deadline=20)
        assert [f.verdict for f in found] == [Health.OK, Health.OK]
        assert "uid 0" in found[1].found
        missing = (await network.chain(subtensor, 7, stranger, deadline=20))[1]
        assert missing.verdict is Health.FAIL
        assert "btcli subnets register --netuid 7" in missing.fix
        nobody = (await network.chain(subtensor, 7, None, deadline=20))[1]
        assert nobody.verdict is Health.FAIL
        other = await network.chain(subtensor, 8, known, deadline=20)
        assert other[-1].verdict is Health.FAIL
        assert "no subnet 8" in other[-1].found


async def test_a_silent_node_is_given_up() -> None:
    """A node that accepts and never answers costs the deadline and no more."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        subtensor = s.SubtensorSettings(chain_endpoint=f"ws://127.0.0.1:{mute.getsockname()[1]}")
        (found,) = await network.chain(subtensor, 7, None, deadline=1.0)
    assert found.verdict is Health.FAIL
    assert time.monotonic() - began < 10


def test_without_a_subnet_nothing_fails(assay: Assay) -> None:
    """On a healthy machine without wallet, chain or network the status is 0: a local network needs none of these."""
    ran = assay(
        "doctor",
        "--subtensor.chain_endpoint",
        ABSENT,
        "--clock_url",
        "http://127.0.0.1:9",
        "--axon.port",
        "0",
        "--json",
    )
    checks = {row["check"]: row for row in ran.json["checks"]}
    assert ran.status == 0, [row for row in ran.json["checks"] if row["verdict"] == "fail"]
    assert ran.json["ok"] is True
    assert checks["wallet"]["verdict"] == checks["chain"]["verdict"] == checks["clock"]["verdict"] == "warn"
    assert checks["embedded set"]["verdict"] == checks["generators"]["verdict"] == checks["video"]["verdict"] == "ok"
    assert all(row["fix"] for row in checks.values() if row["verdict"] != "ok")


def test_with_a_subnet_wallet_and_chain_must_be_right(assay: Assay) -> None:
    """With --netuid the status is 1 where wallet and chain are missing, each with its fix."""
    where = (
        "--netuid",
        "34",
        "--subtensor.chain_endpoint",
        ABSENT,
        "--clock_url",
        "http://127.0.0.1:9",
        "--axon.port",
        "0",
    )
    ran = assay("doctor", *where)
    assert ran.status == 1
    assert "btcli wallet" in ran.out
    assert "--subtensor.chain_endpoint" in ran.out
