"""kill -9 of the real validator at random moments: what was recorded stays, no weights stand twice, it soon plays again.

The slow test kills it fifty times. `-o log_cli=true --log-cli-level=INFO` shows how long each restart took to its first round.
"""

from __future__ import annotations

import logging
import random
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from subnet.chain.devnode.ledger.genesis import Rules
from subnet.evidence.findings import Verdict
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import SETTING, WEIGHTS, WeightsRecord, read_record
from subnet.evidence.replay import Replayer
from subnet.evidence.state import check_whole
from subnet.types import Submission
from tests.e2e.programs import Network, network

SPACING = 12  # blocks between two settings; the chain itself would take them every two
RULES = Rules(tempo=40, weights_rate_limit=2, allow_loopback=True)
GAME = ("--neuron.interval", 0.1, "--neuron.epoch_length", SPACING)
LOG = logging.getLogger(__name__)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.xdist_group("localnet")]


@pytest.mark.parametrize("kills", [3, 50])
def test_a_validator_that_is_killed_at_random_loses_nothing(kills: int, tmp_path: Path) -> None:
    """Every entry that was written stays, in order; the state is the journal's; each setting stands once."""
    moments, firsts = random.Random(13), list[float]()
    with network(tmp_path, RULES, items=120 + 40 * kills) as net:
        net.start_validator("validator", *GAME)
        net.until("the first round", net.rounds)
        for _ in range(kills):
            kept = killed(net, moments.uniform(0, 4.0))
            before = net.rounds()
            net.start_validator("validator", *GAME)
            if moments.random() < 0.7:  # else it is killed while it starts
                firsts.append(net.until("a round after a restart", lambda old=before: net.rounds() > old))
            assert net.hashes()[: len(kept)] == kept
        standing = len(net.blocks())
        net.until("weights after the last kill", lambda: len(net.blocks()) > standing)
        before = net.rounds()
        net.until("a round after them", lambda: net.rounds() > before)
        assert net.kill("validator", signal.SIGTERM) == 0
        time.sleep(0.5)
        check_weights(net, SPACING)
    LOG.info("kills: %d; seconds from a restart to its first round: %s", kills, sorted(round(s, 2) for s in firsts))


def killed(net: Network, seconds: float) -> list[str]:
    """Kill it after so many seconds: the hashes of what it had written down."""
    time.sleep(seconds)
    assert net.kill("validator") == -signal.SIGKILL
    if net.journal().exists():
        with JournalReader(net.journal()) as reader:
            if reader.last is not None:
                check_whole(reader)
    return net.hashes()


def check_weights(net: Network, spacing: int, name: str = "validator") -> None:
    """The chain has each setting once, the journal its outcome, and the whole of it replays."""
    blocks = net.blocks(name)
    gaps = [after - before for before, after in pairwise(blocks)]
    assert min(gaps, default=spacing) >= spacing, (blocks, gaps)
    player, outcomes, settings = Replayer(), list[WeightsRecord](), 0
    with JournalReader(net.journal(name)) as reader:
        for entry in reader.entries():
            assert [found for found in player.take(entry) if found.verdict is Verdict.FALSE] == []
            settings += entry.kind == SETTING
            if entry.kind == WEIGHTS:
                outcomes.append(read_record(WeightsRecord, entry))
    landed = [outcome.block for outcome in outcomes if outcome.submission is Submission.OK]
    assert len(landed) == len(blocks), (landed, blocks)
    assert settings >= len(landed)
