"""A validator with a subnet of 256, of which one miner lives, with the real programs."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from subnet.chain.devnode.keys import keypair
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.ledger.state import AxonRow, Row
from subnet.evidence.records import RoundRecord
from subnet.types import Failure
from tests.e2e.programs import Network, network

RULES = Rules(tempo=40, weights_rate_limit=2, allow_loopback=True, serving_rate_limit=0)
TIMEOUT = 3.0
GAME = ("--neuron.interval", 0.1, "--neuron.sample_size", 256, "--neuron.no-commit")
DEAD = 254
PLAN = """total = 4
[weights]
"image/real/photos" = 9
"image/synthetic/model" = 9
"video/real/photos" = 1
"video/synthetic/model" = 1
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("localnet")]


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    """A chain with a miner and 254 axons that take connections and never say a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as silent, network(tmp_path, RULES, items=32) as net:
        (tmp_path / "plan.toml").write_text(PLAN)
        axon = AxonRow(1, 1, int(IPv4Address("127.0.0.1")), silent.getsockname()[1], 4)
        keys = [keypair(f"//Dead{number}").ss58_address for number in range(DEAD)]
        rows = tuple(Row(key, key, axon=axon) for key in keys)
        net.rewrite(lambda saved: replace(saved, state=replace(saved.state, rows=saved.state.rows + rows)))
        yield net


def last(net: Network, count: int) -> list[RoundRecord]:
    """The next so many rounds."""
    before = net.rounds()
    net.until(f"{count} rounds", lambda: net.rounds() >= before + count)
    return net.played()[-count:]


def of_the_miner(net: Network, played: RoundRecord) -> Failure | None:
    return next(outcome.failure for outcome in played.outcomes if outcome.hotkey == net.hotkeys["miner"])


def test_all_but_one_are_dead_and_then_all(net: Network) -> None:
    """F17: a round ends half a second behind its time-out at most, and one that nobody answers changes no score."""
    net.start_validator("validator", *GAME, timeout=TIMEOUT)
    played = last(net, 2)[-1]
    assert len(played.outcomes) == DEAD + 1
    assert of_the_miner(net, played) is None
    dead = [outcome for outcome in played.outcomes if outcome.hotkey != net.hotkeys["miner"]]
    assert {outcome.failure for outcome in dead} == {Failure.TIMEOUT}
    assert max(outcome.latency for outcome in dead) < TIMEOUT + 0.5
    net.kill("miner")
    before, after = last(net, 3)[-2:]
    assert before.void == after.void == "nobody was heard"
    scores = [{outcome.hotkey: outcome.score for outcome in one.outcomes} for one in (before, after)]
    assert scores[0] == scores[1]
    assert net.kill("validator", signal.SIGTERM) == 0


def test_few_descriptors_and_a_miner_on_ipv6(net: Network) -> None:
    """F21: below `ulimit -n 256` the crowd is asked in groups; an axon on ::1 is published, called, and answers."""
    net.kill("miner")
    net.start_miner("::1")
    validator = net.start_validator("validator", *GAME, timeout=TIMEOUT)
    resource.prlimit(validator.pid, resource.RLIMIT_NOFILE, (256, 256))
    net.until("the miner answers", lambda: any(of_the_miner(net, one) is None for one in net.played()))
    played = last(net, 1)[-1]
    assert len(played.outcomes) == DEAD + 1
    assert {outcome.failure for outcome in played.outcomes} <= {None, Failure.TIMEOUT}
    assert "ulimit" not in net.log("validator")
    assert net.kill("validator", signal.SIGTERM) == 0
