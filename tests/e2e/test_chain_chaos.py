"""The development chain is killed, stalled and started again at random: every epoch has its weights, and has them once."""

from __future__ import annotations

import random
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from subnet.chain.devnode.ledger.genesis import Rules
from tests.e2e.programs import Network, network
from tests.e2e.test_kill import check_weights

TEMPO = 40  # blocks, eight seconds
SPACING = (
    TEMPO // 2
)  # blocks between weights: several in an epoch, as in life; one is lost with a node and its era of 32
VALIDATORS = ("validator", "second")
GAME = ("--neuron.interval", 0.2, "--neuron.epoch_length", SPACING)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.xdist_group("localnet")]


@pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
@pytest.mark.parametrize("blows", [2, 30])
def test_no_epoch_is_lost_or_doubled(blows: int, sealed: bool, tmp_path: Path) -> None:
    """Two validators set weights in every epoch of a chain that dies and stalls, and never twice within one."""
    moments = random.Random(blows)
    rules = Rules(tempo=TEMPO, weights_rate_limit=2, allow_loopback=True, commit_reveal=sealed)
    with network(tmp_path, rules, validators=VALIDATORS, items=60 + 60 * blows) as net:
        for name in VALIDATORS:
            net.start_validator(name, *GAME)
        for name in VALIDATORS:
            net.until(f"the first weights of {name}", lambda name=name: net.blocks(name))
        for _ in range(blows):
            time.sleep(moments.uniform(0.0, 6.0))
            moments.choice((die, stall))(net, moments.uniform(0.1, 4.0))
        for name in VALIDATORS:
            before = len(net.blocks(name))
            net.until(f"more weights of {name}", lambda name=name, n=before: len(net.blocks(name)) > n)
        for name in VALIDATORS:
            assert net.kill(name, signal.SIGTERM) == 0, net.log(name)[-3000:]
        time.sleep(0.5)
        for name in VALIDATORS:
            check_weights(net, SPACING, name)
            blocks = net.blocks(name)
            gaps = [after - before for before, after in pairwise(blocks)]
            assert max(gaps, default=TEMPO) < 2 * TEMPO, (name, blocks)


def die(net: Network, seconds: float) -> None:
    """The node is killed, and is away for so long."""
    net.kill("chain")
    time.sleep(seconds)
    net.start_chain()


def stall(net: Network, seconds: float) -> None:
    """The node takes connections and answers nothing for so long."""
    chain = net.processes["chain"]
    chain.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    chain.send_signal(signal.SIGCONT)
