"""`assay status --ask_chain`: what the chain says of a validator and of a miner, read from the development chain."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from subnet.chain.devnode.keys import keypair
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.types import Endpoint, Submission
from tests.contract.chain_worlds import NodeWorld, node_world
from tests.unit.neurons.running import Assay, Ran
from tests.unit.subnet.evidence.journals import write_journal

TEMPO = 10
NAMES = ("//Val0", "//Val1", "//Val2", "//Good", "//Bad", "//New")
STAKES = (6000.0, 4000.0, 3000.0, 0.0, 0.0, 0.0)
HOTKEYS = {name: keypair(name).ss58_address for name in NAMES}
GENESIS = Genesis(
    34,
    tuple(GenesisNeuron(HOTKEYS[name], HOTKEYS[name], stake) for name, stake in zip(NAMES, STAKES, strict=True)),
    Rules(tempo=TEMPO, weights_rate_limit=2),
)


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Assay:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    return Assay(capfd)


async def asked(assay: Assay, world: NodeWorld, folder: Path, *words: object) -> Ran:
    """The command beside the node, which answers it in this event loop."""
    where = ("--state", folder, "--ask_chain", "--subtensor.chain_endpoint", world.node.endpoint)
    return await asyncio.to_thread(assay, "status", *where, *words, "--json")


def rows(ran: Ran) -> dict[str, Any]:
    return {row["check"]: row for row in json.loads(ran.out.strip().splitlines()[-1])["checks"]}


async def test_a_validators_trust_and_a_miners_incentive(assay: Assay, tmp_path: Path) -> None:
    """vtrust of two validators that agree is high, that of the one who pays another miner low, and told as such."""
    async with node_world(GENESIS) as world:
        await world.advance(1)
        for name, weights in (("//Val0", {3: 1.0}), ("//Val1", {3: 1.0}), ("//Val2", {4: 1.0})):
            assert (await world.chain(name).set_weights(weights)).submission is Submission.OK
            await world.advance(1)
        assert (await world.chain("//Good").serve(Endpoint("10.0.0.7", 8091))).submission is Submission.OK
        await world.advance(2 * TEMPO)
        folders = {name: tmp_path / f"validator-34-{HOTKEYS[name]}" for name in ("//Val0", "//Val2")}
        found = {}
        for name, folder in folders.items():
            write_journal(folder / "journal.db", 4)
            found[name] = rows(await asked(assay, world, folder))
            assert found[name]["permit"]["verdict"] == "ok"
            assert "blocks old" in found[name]["weights on chain"]["found"]
        trust = {name: float(checks["vtrust"]["found"].split()[0]) for name, checks in found.items()}
        assert trust["//Val0"] > 0.9 > 0.5 > trust["//Val2"]
        assert found["//Val0"]["vtrust"]["verdict"] == "ok"
        assert found["//Val2"]["vtrust"]["verdict"] == "warn"
        assert found["//Val2"]["vtrust"]["fix"]
        old = rows(await asked(assay, world, folders["//Val0"], "--max_weights_age", 3))
        assert (old["weights on chain"]["verdict"], "read its log" in old["weights on chain"]["fix"]) == ("fail", True)
        pay = {}
        for name in ("//Good", "//New"):
            folder = tmp_path / f"miner-34-{HOTKEYS[name]}"
            folder.mkdir()
            checks = rows(await asked(assay, world, folder))
            pay[name] = float(checks["incentive"]["found"].split()[0])
            assert checks["incentive"]["verdict"] == ("ok" if name == "//Good" else "warn")
            told = ("ok", "http://10.0.0.7:8091") if name == "//Good" else ("fail", "no address: no validator asks it")
            assert (checks["published"]["verdict"], checks["published"]["found"]) == told
        assert pay["//Good"] > 0.9
        assert pay["//New"] == 0.0


async def test_who_is_not_registered_and_a_chain_that_is_dead(assay: Assay, tmp_path: Path) -> None:
    """Each fails with its fix and status 1; a dead chain costs the deadline at most."""
    stranger = tmp_path / f"miner-34-{keypair('//Nobody').ss58_address}"
    stranger.mkdir()
    async with node_world(GENESIS) as world:
        await world.advance(1)
        ran = await asked(assay, world, stranger)
        assert ran.status == 1
        assert "btcli subnets register --netuid 34" in rows(ran)["registration"]["fix"]
    dead = await asyncio.to_thread(
        assay, "status", "--ask_chain", "--subtensor.chain_endpoint", "ws://127.0.0.1:9", "--deadline", 2, "--json"
    )
    assert dead.status == 1
    assert rows(dead)["chain"]["verdict"] == "fail"
    assert "--subtensor.chain_endpoint" in rows(dead)["chain"]["fix"]
