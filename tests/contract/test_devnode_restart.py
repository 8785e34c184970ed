"""A development node that is stopped or killed goes on where it was."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bittensor as bt
from bittensor import calls

from subnet.chain.devnode.keys import keypair
from subnet.chain.devnode.ledger.accounts import ENDOWMENT
from subnet.chain.devnode.node.store import read

VAL, COLD = keypair("//Val0"), keypair("//Miner0//cold")
FLAGS = ("--seed-keys", "2", "--block-ms", "30", "--weights-rate-limit", "0")


@asynccontextmanager
async def node(*flags: str) -> AsyncIterator[str]:
    """The endpoint of a node in a process of its own, which is killed without warning at the end."""
    command = ["-m", "subnet.chain.devnode", "--port", "0", *flags]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()[1]
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def client(endpoint: str) -> AsyncIterator[Any]:
    connected = bt.Client(endpoint)
    await connected.connect()
    try:
        yield connected
    finally:
        await asyncio.wait_for(connected.close(), 3)


async def free(chain: Any) -> int:
    return int((await chain.query(("System", "Account"), [COLD.ss58_address]))["data"]["free"])


async def test_a_killed_node_goes_on(tmp_path: Path) -> None:
    """After kill -9: height, hashes, weights, balances, stake and nonces are there, with and without the flags."""
    state = ("--state", str(tmp_path / "chain.json"))
    stake = calls.SubtensorModule.add_stake(hotkey=VAL.ss58_address, netuid=1, amount_staked=7 * 10**9)
    async with node(*FLAGS, *state) as endpoint, client(endpoint) as chain:
        assert (await chain.submit_call(stake, COLD)).success
        assert (await chain.execute(bt.SetWeights(netuid=1, weights={1: 1.0, 2: 0.5}), VAL)).success
        height = await chain.block()
        digest = await chain._substrate.block_hash(height)
    for flags in (FLAGS, ("--block-ms", "30")):
        async with node(*flags, *state) as endpoint, client(endpoint) as chain:
            assert await chain.block() >= height
            assert await chain._substrate.block_hash(height) == digest
            assert await free(chain) == ENDOWMENT - 7 * 10**9
            assert (await chain.subnets.metagraph(1)).neuron(0).total_stake.rao == 1007 * 10**9
            assert (await chain.weights.weights(netuid=1))[0].keys() == {1, 2}
            assert (await chain.execute(bt.SetWeights(netuid=1, weights={1: 1.0, 2: 0.5}), VAL)).success
            height = await chain.block()
            digest = await chain._substrate.block_hash(height)


async def test_no_block_that_was_announced_is_lost(tmp_path: Path) -> None:
    """Killed at any moment, the file is whole and holds at least the last block that somebody heard of."""
    path = tmp_path / "chain.json"
    flags = ("--seed-keys", "2", "--block-ms", "10", "--state", str(path))
    for lived in range(3):
        async with node(*flags) as endpoint, client(endpoint) as chain:
            heard = 0
            async for header in chain.blocks():
                heard = header.number
                if heard % 7 == lived:
                    break
        saved = read(path)
        assert saved is not None
        assert saved.number >= heard > 0


async def test_another_chain_in_the_file_is_a_message(tmp_path: Path) -> None:
    """Flags that describe another chain than the file's, and a file that is none, end with status 2 and one line."""
    path = tmp_path / "chain.json"
    async with node("--seed-keys", "2", "--state", str(path)):
        pass
    other = tmp_path / "other.json"
    other.write_text("{}")
    cases = [(("--seed-keys", "3", "--state", str(path)), "another chain"), (("--state", str(other)), "move it away")]
    for flags, words in cases:
        command = ["-m", "subnet.chain.devnode", "--port", "0", *flags]
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 2
        assert words in errors.decode()
        assert errors.decode().count("\n") == 1
