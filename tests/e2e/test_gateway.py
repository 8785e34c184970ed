"""The real gateway beside a real validator: a development chain, a miner on the loopback, a client over HTTP."""

from __future__ import annotations

import contextlib
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurons.gateway.client import Client, GatewayError
from neurons.gateway.store.jobs import State
from neurons.gateway.store.keys import Keys, Scope
from neurons.gateway.store.opening import open_database
from subnet.chain.devnode.ledger.genesis import Rules
from tests.e2e.programs import Network, network
from tests.unit.neurons.gateway.rig import clip, picture

GAME = ("--neuron.sample_size", 1, "--neuron.interval", 0.5, "--neuron.irregular", "--neuron.disable_set_weights")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def start_gateway(net: Network, port: int, name: str = "gateway", *words: object) -> None:
    wallet = ("--wallet.path", net.folder / "wallets", "--wallet.name", "validator", "--netuid", 34, "--local")
    chain = ("--subtensor.chain_endpoint", net.endpoint, "--journal", net.journal())
    own = ("--state", net.folder / name, "--gateway.port", port, "--gateway.timeout", 20)
    net.spawn(name, "neurons", "gateway", *wallet, *chain, *own, *words)
    net.until("the gateway listens", lambda: "listening" in net.log(name))


@pytest.mark.slow
def test_a_gateway_beside_its_validator(tmp_path: Path) -> None:
    """One hotkey, two programs: clients get answers while rounds go on; without miners 503; a signal ends it with 0."""
    database = open_database(tmp_path / "gateway")
    _, key = Keys(database).add("client", frozenset((Scope.IMAGE, Scope.ANSWERS)), 6000, 1000)
    database.close()
    port = free_port()
    with network(tmp_path, Rules(allow_loopback=True), items=200) as net:
        net.start_validator("validator", *GAME)
        net.until("rounds are played", lambda: net.rounds() >= 2)
        start_gateway(net, port)
        with Client(f"http://127.0.0.1:{port}", key, patience=60.0) as client:
            before, detections = net.rounds(), [client.detect(picture(True)) for _ in range(3)]
            net.until("rounds go on", lambda: net.rounds() > before)
            net.kill("miner")
            with Client(f"http://127.0.0.1:{port}", key, patience=0.0) as hasty, pytest.raises(GatewayError) as down:
                hasty.detect(picture(True))
        assert net.kill("gateway", signal.SIGTERM) == 0
        played = net.played()
    assert [each.asked for each in detections] == [1, 1, 1]
    assert all(each.verdict == "uncertain" and each.miners for each in detections)  # a miner that guesses
    assert down.value.status == 503
    assert {row.hotkey for each in played for row in each.outcomes} == {net.hotkeys["miner"]}
    assert sum(row.failure is None for each in played for row in each.outcomes) >= 2


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.mark.slow
def test_clips_outlast_miners_and_the_gateway(tmp_path: Path) -> None:
    """The only miner is silent and the gateway is stopped while a clip is in work: all are queued at once and without a
    try less, and judged when both are back, each counted once."""
    database = open_database(tmp_path / "gateway")
    keys = Keys(database)
    _, key = keys.add("client", frozenset((Scope.VIDEO,)), 6000, 1000)
    port = free_port()
    with network(tmp_path, Rules(allow_loopback=True), items=200) as net:
        net.start_validator("validator", *GAME)
        net.until("rounds are played", lambda: net.rounds() >= 2)
        start_gateway(net, port)
        with Client(f"http://127.0.0.1:{port}", key) as client:
            net.processes["miner"].send_signal(signal.SIGSTOP)
            ids = [client.submit(clip(True, seed=number)).id for number in range(3)]
            net.until("one is in work", lambda: client.job(ids[0]).state is State.RUNNING)
            assert net.kill("gateway", signal.SIGTERM) == 0
        with database.reading() as db:
            assert [tuple(row) for row in db.execute("SELECT state, tries FROM jobs").fetchall()] == [("queued", 0)] * 3
        net.processes["miner"].send_signal(signal.SIGCONT)
        start_gateway(net, port)
        net.until("it listens again", lambda: listens(port))
        with Client(f"http://127.0.0.1:{port}", key) as client:
            net.until("all are answered", lambda: all(client.job(each).state is State.DONE for each in ids))
    assert [each.spent for each in keys.all()] == [3]
    database.close()


@pytest.mark.slow
def test_a_gateway_that_ends_tells_those_who_wait(tmp_path: Path) -> None:
    """SIGTERM while four pictures are in work that no miner answers: a problem each, no traceback, nothing counted."""
    database = open_database(tmp_path / "gateway")
    keys = Keys(database)
    _, key = keys.add("client", frozenset((Scope.IMAGE,)), 6000, 1000)
    port = free_port()

    def detect(seed: int) -> GatewayError:
        with Client(f"http://127.0.0.1:{port}", key, patience=0.0) as client, pytest.raises(GatewayError) as told:
            client.detect(picture(True, seed=seed))
        return told.value

    with network(tmp_path, Rules(allow_loopback=True), items=200) as net:
        net.start_validator("validator", *GAME)
        net.until("rounds are played", lambda: net.rounds() >= 2)
        start_gateway(net, port)
        net.processes["miner"].send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(4) as executor:
            asked = [executor.submit(detect, seed) for seed in range(4)]
            net.until("all are in work", lambda: [each.spent for each in keys.all()] == [4])
            assert net.kill("gateway", signal.SIGTERM) == 0
            told = [each.result() for each in asked]
        log = net.log("gateway")
        net.processes["miner"].send_signal(signal.SIGCONT)
    assert [each.status for each in told] == [503] * 4
    assert all(each.problem and "stopping" in each.problem.detail for each in told)
    assert "Traceback" not in log
    assert [each.spent for each in keys.all()] == [0]
    database.close()
