"""kill -9 of a real validator process around commitments and weights, against a real node: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from subnet.chain.bittensor import BittensorChain
from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.node.server import Node, devnode
from subnet.evidence.findings import Verdict
from subnet.evidence.journal import Journal
from subnet.evidence.records import (
    COMMITMENT,
    ROUND,
    SETTING,
    WEIGHTS,
    CommitmentRecord,
    RoundRecord,
    WeightsRecord,
    read_record,
)
from subnet.evidence.replay import Replayer
from subnet.game.epochs import break_between, parse
from subnet.types import Endpoint, Submission
from tests.places import ROOT

VALIDATOR = keypair("//Val0").ss58_address
MOMENTS = ("before-commit", "after-commit", "before-weights", "after-weights")


async def run(folder: Path, node: Node, *moments: str) -> list[str]:
    """Live once for each moment: a line with its name and the exit status."""
    program = (sys.executable, "-m", "tests.unit.neurons.validator.onchain.killed", str(folder), node.endpoint)
    process = await asyncio.create_subprocess_exec(
        *program, *moments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]
    return [line for line in output.decode().splitlines() if line.startswith("ended: ")]


def sent(node: Node, call: str) -> list[tuple[int, str | None]]:
    """Block and error of every transaction with this call."""
    chain = node.chain
    blocks = [chain.block("0x" + (chain.hash_of(n) or b"").hex()) for n in range(chain.head.number + 1)]
    pairs = ((b.number, x.call, error) for b in blocks for x, error in zip(b.extrinsics, b.outcomes, strict=True))
    return [(number, error) for number, name, error in pairs if name == call]


@pytest.mark.timeout(300)
async def test_a_validator_that_is_killed_at_every_point_keeps_its_word(tmp_path: Path) -> None:
    """The chain's commitments have no break, each stands once and opens the last; every setting has its outcome.

    The journal replays without a false entry, and every round of an epoch was planned by the seed that was revealed.
    """
    rules = Rules(tempo=10, weights_rate_limit=4)
    async with devnode(seeded(validators=1, miners=2, rules=rules), block_ms=100) as node:
        for number in range(2):
            miner = BittensorChain(node.endpoint, 1, keypair(f"//Miner{number}"))
            assert (await miner.serve(Endpoint("203.0.113.7", 8000 + number))).submission is Submission.OK
            await miner.close()
        killed = [f"ended: {moment} {-signal.SIGKILL}" for moment in MOMENTS]
        assert await run(tmp_path, node, *MOMENTS, "4") == [*killed, "ended: 4 0"]
        blocks = [number for number, error in sent(node, "set_commitment") if error is None]
        reader = BittensorChain(node.endpoint, 1, keypair("//Miner0"))
        before = None
        for block in blocks:
            statement = await reader.commitment(VALIDATOR, at=block)
            assert statement is not None
            said = parse(statement.text)
            assert break_between(before, said, 1, VALIDATOR) == ""
            before = said
        await reader.close()
        weights = sent(node, "set_mechanism_weights")
    _check_journal(tmp_path, blocks, [block for block, error in weights if error is None])


def _check_journal(folder: Path, committed: list[int], weighed: list[int]) -> None:
    journal = Journal(folder / "journal.db")
    entries = list(journal.entries())
    journal.close()
    stand = [r for e in entries if e.kind == COMMITMENT and (r := read_record(CommitmentRecord, e)).block is not None]
    assert [r.block for r in stand] == committed
    assert [r.epoch for r in stand] == list(range(len(committed)))
    settings = sum(entry.kind == SETTING for entry in entries)
    outcomes = [read_record(WeightsRecord, entry) for entry in entries if entry.kind == WEIGHTS]
    assert settings == sum(bool(o.weights) for o in outcomes)
    assert sum(o.submission is Submission.OK for o in outcomes) == len(weighed)
    player = Replayer()
    false = [f for entry in entries for f in player.take(entry) if f.verdict is Verdict.FALSE]
    assert false == []
    assert player.proven["epochs with a committed seed"] == len(committed) - 1
    rounds = [read_record(RoundRecord, entry) for entry in entries if entry.kind == ROUND]
    assert player.proven["rounds planned by their epoch's seed"] == sum(
        r.epoch is not None and r.epoch < len(committed) - 1 for r in rounds
    )
    assert {r.epoch for r in rounds} >= {0, len(committed) - 1}
