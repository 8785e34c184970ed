"""A start that the chain's record refuses leaves the machine as it was."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from subnet.chain.devnode.keys import neuron, seeded, wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron
from subnet.evidence.journal import Journal
from tests.contract.chain_worlds import node_world

MINER = ("--axon.external_ip", "8.8.8.8", "--axon.port", "0", "--detector.image", "random", "--detector.device", "cpu")
PROGRAMS = {"validator": (), "miner": (*MINER, "--detector.video", "random-video")}


async def started(program: str, home: Path, endpoint: str, *words: object) -> tuple[int | None, str]:
    """Status and standard error of a program with the wallet of a hotkey that `seeded` does not register."""
    wallet_from_seed("stranger", home / "wallets", "life")
    chain = ("--netuid", "1", "--subtensor.chain_endpoint", endpoint)
    wallet = ("--wallet.name", "stranger", "--wallet.path", home / "wallets")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "neurons", program, *map(str, (*chain, *wallet, *words))),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "ASSAY_HOME": str(home / "assay")},
    )
    _, said = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, said.decode()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("named", [False, True])
async def test_a_hotkey_that_is_not_registered_leaves_no_state(program: str, named: bool, tmp_path: Path) -> None:
    """Status 2, and neither journal nor seed nor folder: `assay status` would take them for a program's."""
    state = ("--state", tmp_path / "own") if named else ()
    async with node_world(seeded(validators=1, miners=1)) as world:
        status, said = await started(program, tmp_path, world.node.endpoint, *PROGRAMS[program], *state)
    assert (status, "is not registered on subnet 1" in said) == (2, True), said
    assert not (tmp_path / "own").exists()
    assert not [path for path in (tmp_path / "assay").iterdir() if path.is_dir()]


async def test_a_state_that_was_there_stays(tmp_path: Path) -> None:
    """An empty journal of an earlier start, too: nobody asked to delete it."""
    Journal(tmp_path / "own" / "journal.db").close()
    async with node_world(seeded(validators=1, miners=1)) as world:
        status, said = await started("validator", tmp_path, world.node.endpoint, "--state", tmp_path / "own")
    assert (status, "is not registered" in said) == (2, True), said
    assert (tmp_path / "own" / "journal.db").exists()


async def test_a_gateway_needs_the_permit_that_miners_ask_for(tmp_path: Path) -> None:
    """A registered hotkey that is no validator's would be refused by every miner: status 2, and nothing is served."""
    Journal(tmp_path / "journal.db").close()
    words = ("--journal", tmp_path / "journal.db", "--gateway.port", 0)
    stranger = wallet_from_seed("stranger", tmp_path / "wallets", "life")
    poor = GenesisNeuron(stranger.hotkey.ss58_address, stranger.coldkeypub.ss58_address)
    genesis = Genesis(1, (neuron("//Val0", 1000.0), poor))
    async with node_world(genesis) as world:
        status, said = await started("gateway", tmp_path, world.node.endpoint, *words)
    assert (status, "has no validator permit on subnet 1" in said) == (2, True), said
