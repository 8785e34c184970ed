"""Too many connections: who has to go, and that permitted validators notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.wire.http.connections import LEAST, MOST, Connections, room_for_connections
from subnet.wire.http.server import BoundedProtocol
from subnet.wire.synapse import DIGEST_HEADER, VideoSynapse
from tests.unit.subnet.wire.rig import BODY, Rig, exchange, head, post, read_response, signed, start


@dataclass(eq=False)
class Fake:
    """A connection of the pure tests."""

    idle: bool = True
    closed: bool = False

    def abandon(self) -> None:
        self.closed = True


STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "prove", "leave"]), st.sampled_from("abcd"), st.integers(0, 40), st.booleans()),
    min_size=20,  # else four of one address are seldom among them
    max_size=80,
)


@given(STEPS)
def test_bounds_hold_whatever_comes(steps: list[tuple[str, str, int, bool]]) -> None:
    """Never more than the total, never more strangers of one address; nothing is closed while there is room."""
    connections = Connections(total=8, per_address=3)
    opened: list[Fake] = []
    places: dict[Fake, str] = {}
    proven: set[Fake] = set()
    for what, place, index, idle in steps:
        if what == "enter":
            fake = Fake(idle)
            before = [other for other in opened if not other.closed]
            here = [other for other in before if places[other] == place and other not in proven]
            opened.append(fake)
            places[fake] = place
            connections.enter(fake, place)
            shut = [other for other in [*before, fake] if other.closed]
            assert len(shut) == int(len(here) == 3 or len(before) == 8)
            assert not fake.closed or not [other for other in before if other not in proven]
        elif opened and not (fake := opened[index % len(opened)]).closed:
            getattr(connections, what)(fake)
            if what == "prove":
                proven.add(fake)
            else:
                fake.closed = True
        alive = [other for other in opened if not other.closed]
        assert len(connections) == len(alive) <= 8
        for name in "abcd":
            assert sum(places[other] == name and other not in proven for other in alive) <= 3


def test_the_oldest_stranger_goes_first_and_who_is_at_work_stays() -> None:
    """In this order: strangers from the oldest, idle connections of the proven, and then only the newcomer."""
    connections = Connections(total=3, per_address=9)
    busy, idle, stranger, late, last = Fake(idle=False), Fake(), Fake(), Fake(), Fake()
    for fake in (busy, idle, stranger):
        connections.enter(fake, "192.0.2.1")
    for fake in (busy, idle):
        connections.prove(fake)
    connections.enter(late, "192.0.2.2")
    assert [fake.closed for fake in (busy, idle, stranger, late)] == [False, False, True, False]
    connections.prove(late)
    late.idle = False
    connections.enter(Fake(), "192.0.2.3")
    assert idle.closed
    connections.enter(last, "192.0.2.4")
    assert not last.closed  # the stranger before it went
    connections.prove(last)
    last.idle = False
    refused = Fake()
    connections.enter(refused, "192.0.2.5")
    assert refused.closed
    assert not any(fake.closed for fake in (busy, late, last))


def test_an_ipv6_host_is_one_address() -> None:
    """Whoever has a /64 has one address here, and another /64 is another."""
    assert Connections(total=20).per_address == 10  # one address never has more than half
    connections = Connections(total=99, per_address=2)
    fakes = [Fake() for _ in range(4)]
    for number, fake in enumerate(fakes[:3]):
        connections.enter(fake, f"2001:db8:1:2::{number}")
    connections.enter(fakes[3], "2001:db8:1:3::1")
    assert [fake.closed for fake in fakes] == [True, False, False, False]


def test_room_is_below_the_descriptors() -> None:
    """Between the least that makes sense and the most that is asked for."""
    assert LEAST <= room_for_connections() <= MOST


async def opened(rig: Rig, count: int, first: bytes = b"") -> list[socket.socket]:
    """So many connections that say `first` and then nothing."""
    loop, sockets = asyncio.get_running_loop(), []
    for number in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", rig.serving.port))
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(sock, first)
        sockets.append(sock)
        if number % 50 == 0:
            await asyncio.sleep(0)
    return sockets


@pytest.mark.parametrize("first", [b"", b"POST /ImageSynapse HTTP/1.1\r\nHost: a"], ids=["silent", "half a head"])
async def test_hundreds_of_silent_connections(tmp_path: Path, first: bytes) -> None:
    """From one address or, without the bound of one, beyond the total: every permitted request is served at once."""
    for connections in (Connections(total=200), Connections(total=200, per_address=10_000)):
        rig = await start(
            tmp_path / f"{connections.per_address}.sqlite", connections=connections, protocol=BoundedProtocol
        )
        sockets = await opened(rig, 400, first)
        await asyncio.sleep(0.2)
        assert len(connections) == min(200, connections.per_address)
        began = time.monotonic()
        assert [(await post(rig, signed())).status for _ in range(10)] == [200] * 10
        assert time.monotonic() - began < 3
        for sock in sockets:
            sock.close()
        await rig.close()


async def test_a_proven_connection_outlives_a_flood(tmp_path: Path) -> None:
    """The connection that a validator keeps is not closed for strangers'."""
    connections = Connections(total=20, per_address=10_000)
    rig = await start(tmp_path / "n.sqlite", connections=connections, protocol=BoundedProtocol)
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    for _ in range(2):
        writer.write(head(signed(), length=len(BODY)) + BODY)
        assert (await read_response(reader)).status == 200
        sockets = await opened(rig, 60)
        await asyncio.sleep(0.1)
        for sock in sockets:
            sock.close()
    writer.close()
    await rig.close()


STARVED = """
import asyncio, logging, resource, sys
from pathlib import Path
from subnet.wire.http.connections import Connections
from tests.unit.subnet.wire import rig
from subnet.wire.http.server import BoundedProtocol

async def main():
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    here = await rig.start(Path(sys.argv[1]), connections=Connections(10**6, 10**6), protocol=BoundedProtocol)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    print(here.serving.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


async def test_out_of_descriptors(tmp_path: Path) -> None:
    """A process without descriptors turns silent connections away, serves its validators, and writes a few lines."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARVED, str(tmp_path / "n.sqlite")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(120)]
    await asyncio.sleep(1)
    request = head(signed(), length=len(BODY)) + BODY
    assert (await exchange(port, request)).status == 200
    await asyncio.sleep(0.5)
    request = head(signed(), length=len(BODY)) + BODY
    assert (await exchange(port, request)).status == 200
    process.kill()
    _, log = await process.communicate()
    for sock in sockets:
        sock.close()
    assert b"ulimit -n" in log
    assert b"Traceback" not in log
    assert len(log) < 4000


SERVING = """
import asyncio, sys
from pathlib import Path
from tests.unit.subnet.wire import rig
from subnet.wire.http.server import BoundedProtocol

async def main():
    here = await rig.start(Path(sys.argv[1]), protocol=BoundedProtocol, body_seconds=10.0)
    print(here.serving.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


async def test_eighty_large_bodies_take_no_memory(tmp_path: Path) -> None:
    """Eighty connections that send 16 MB each in a validator's name, with and without a digest, leave the process
    within the budget of what is not proven."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVING, str(tmp_path / "n.sqlite")), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    memory = psutil.Process(process.pid)
    before = memory.memory_info().rss
    body = bytes(VideoSynapse.max_body)

    forged = signed(body, target="/VideoSynapse", signature="0x" + "11" * 64)
    unsaid = [(name, value) for name, value in forged if name != DIGEST_HEADER]
    heads = [head(headers, target="/VideoSynapse", length=len(body)) for headers in (forged, unsaid)]

    async def send(first: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in (first, *[bytes(2**20)] * 15, bytes(2**20 - 1)):
                writer.write(part)
                await writer.drain()
            await asyncio.sleep(20)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    sending = asyncio.gather(*(send(heads[n % 2]) for n in range(80)))
    most = before
    for _ in range(20):
        await asyncio.sleep(0.1)
        most = max(most, memory.memory_info().rss)
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending
    process.kill()
    await process.wait()
    assert most - before < 120 * 2**20  # the same bodies took 800 MB when they were read first
