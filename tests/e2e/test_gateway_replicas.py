"""Three gateways over one PostgreSQL server, and one of them is killed."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neurons.gateway.client import Client, GatewayError
from neurons.gateway.schemas import JobBody
from neurons.gateway.store.jobs import State
from neurons.gateway.store.keys import Keys, Scope
from neurons.gateway.store.opening import open_database
from subnet.chain.devnode.ledger.genesis import Rules
from tests.e2e.programs import Network, network
from tests.e2e.test_gateway import GAME, free_port, start_gateway
from tests.unit.neurons.gateway import postgres_server
from tests.unit.neurons.gateway.rig import clip

CLIPS = 18


@contextmanager
def told() -> Iterator[tuple[str, Counter[str]]]:
    """An address for webhooks, and how often it was told of each job."""
    counts: Counter[str] = Counter()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            counts[json.loads(self.rfile.read(int(self.headers["content-length"])))["id"]] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", counts
        finally:
            server.shutdown()
            thread.join()


def send(net: Network, clients: list[Client]) -> list[str]:
    """Clips to all gateways in turn; one is killed when a third of them is sent. Ids of their jobs."""
    ids = []
    for number in range(CLIPS):
        if number == CLIPS // 3:
            net.kill("gateway-1")
            clients.pop(1)
        ids.append(clients[number % len(clients)].submit(clip(bool(number % 2), seed=number)).id)
    return ids


def finished(client: Client, ids: list[str]) -> list[JobBody]:
    ends, jobs = time.monotonic() + 180, list[JobBody]()
    while len(jobs) < len(ids):
        assert time.monotonic() < ends, f"only {len(jobs)} of {len(ids)} jobs were answered"
        job = client.job(ids[len(jobs)])
        if job.state in (State.QUEUED, State.RUNNING):
            time.sleep(0.2)
        else:
            jobs.append(job)
    return jobs


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_of_three_is_killed(tmp_path: Path) -> None:
    """Whatever it had in hand the others take up: every job is answered, once, and told of once at most; a key that is
    revoked at the server opens none of them."""
    if why_not := postgres_server.why_not():
        pytest.skip(why_not)
    ports = [free_port() for _ in range(3)]
    with (
        postgres_server.server() as address,
        told() as (hook, counts),
        network(tmp_path, Rules(allow_loopback=True), items=100) as net,
    ):
        database = open_database(Path(), address)
        _, key = Keys(database).add("client", frozenset((Scope.VIDEO,)), 6000, 1000, hook)
        net.start_validator("validator", *GAME)
        net.until("rounds are played", lambda: net.rounds() >= 2)
        shared = ("--gateway.database", address, "--gateway.key_jobs", 100, "--gateway.miner_rate", 5)
        for number, port in enumerate(ports):
            start_gateway(net, port, f"gateway-{number}", *shared)
        clients = [Client(f"http://127.0.0.1:{port}", key) for port in ports]
        ids = send(net, list(clients))
        jobs = finished(clients[0], ids)
        assert [clients[2].job(each) for each in ids] == jobs
        with database.reading() as db:
            tries = [row[0] for row in db.execute("SELECT tries FROM jobs").fetchall()]
        Keys(database).revoke("client")
        for number in (0, 2):
            with pytest.raises(GatewayError, match="not revoked"):
                clients[number].job(ids[0])
        database.close()
        for client in clients:
            client.close()
    assert {job.state for job in jobs} == {State.DONE}, jobs
    assert sum(tries) <= CLIPS + 1  # the one that the killed one had in hand
    assert counts.keys() <= set(ids)
    assert len(counts) >= CLIPS - 1
    assert set(counts.values()) == {1}
