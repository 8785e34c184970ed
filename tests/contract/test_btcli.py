"""The real btcli against a development node: the commands that `subnet/chain/devnode/README.md` says work."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.node.server import Node, devnode

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Btcli:
    """btcli with a home, a wallet and a node of its own."""

    home: Path
    node: Node

    async def run(self, *arguments: str, status: int = 0) -> Any:
        """The JSON that a command prints. Fails when its exit status is another."""
        given = ("--wallet-path", str(self.home / "wallets"), "-w", "cold", "-H", "hot", "--json")
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "btcli"),
            *(*arguments, "-n", self.node.endpoint, *given),
            env={**os.environ, "HOME": str(self.home), "BITTENSOR_RUNTIME_CACHE_DIR": str(self.home / "cache")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == status, f"{arguments}: {out.decode()}{errors.decode()}"
        return json.loads(out)


@asynccontextmanager
async def btcli(home: Path, **rules: Any) -> AsyncIterator[tuple[Btcli, dict[str, str]]]:
    """A node and a new wallet made by btcli; its addresses by "coldkey" and "hotkey"."""
    genesis = seeded(validators=1, miners=3, rules=Rules(**({"tempo": 5, "weights_rate_limit": 0} | rules)))
    async with devnode(genesis, block_ms=250) as node:
        cli = Btcli(home, node)
        await cli.run("wallet", "create", "--no-password")
        (wallet,) = (await cli.run("wallet", "list"))["coldkeys"]
        (hotkey,) = wallet["hotkeys"]
        yield cli, {"coldkey": wallet["ss58"], "hotkey": hotkey["ss58"]}


async def test_a_newcomers_way(tmp_path: Path) -> None:
    """Wallet, look around, register, stake, set weights, transfer: each command answers with what then is so."""
    async with btcli(tmp_path, burn=0.25) as (cli, wallet):
        assert [row["neurons"] for row in await cli.run("subnets", "list")] == [0, 4]
        shown = await cli.run("subnets", "show", "1")
        assert (shown["name"], shown["burn_tao"], shown["neurons"]) == ("assay", 0.25, 4)
        assert (await cli.run("subnets", "burn-cost", "1"))["tao"] == 0.25
        assert (await cli.run("subnets", "hyperparameters", "1"))["tempo"] == 5
        assert (await cli.run("wallet", "balance"))["free_tao"] == 1e6

        assert (await cli.run("subnets", "register", "--netuid", "1", "-y"))["success"]
        (registered,) = await cli.run("wallet", "registrations")
        assert registered["hotkeys"][0]["registrations"] == [{"netuid": 1, "uid": 4}]

        position = ("--netuid", "1", "--hotkey", wallet["hotkey"])
        assert (await cli.run("stake", "add", *position, "--amount", "5000", "-y"))["success"]
        assert (await cli.run("stake", "remove", *position, "--amount", "1000", "-y"))["success"]
        (held,) = await cli.run("stake", "list")
        assert (held["hotkey"], held["stake_amount"], held["registered"]) == (wallet["hotkey"], 4000.0, True)
        assert (await cli.run("stake", "show", *position))["stake_amount"] == 4000.0

        chosen = ("--netuid", "1", "--uids", "1,2", "--weights", "0.75,0.25", "-y")
        assert (await cli.run("misc", "weights", "set", *chosen))["success"]
        refused = await cli.run("misc", "weights", "commit", *chosen, status=1)
        assert refused["error"]["name"] == "CommitRevealDisabled"
        assert (await cli.run("query", "weights", "--netuid", "1"))["4"] == pytest.approx(
            {"1": 0.75, "2": 0.25}, abs=1e-4
        )

        sent = ("--dest", keypair("//Val0//cold").ss58_address, "--amount", "5", "-y")
        assert (await cli.run("wallet", "transfer", *sent))["success"]
        after = await cli.run("wallet", "balance")
        assert (after["free_tao"], after["stake_value_tao"]) == (1e6 - 0.25 - 4000 - 5, 4000.0)
        assert (await cli.run("wallet", "overview"))[0]["positions"] == 1

        graph = await cli.run("subnets", "metagraph", "1")
        assert graph["hotkeys"][4] == wallet["hotkey"]
        assert graph["coldkeys"][4] == wallet["coldkey"]
        assert graph["total_stake"][4] == 4000 * 10**9
        assert graph["incentives"][1] == pytest.approx(0.75 * 65535, abs=2)

        unsupported = await cli.run("subnets", "create", "-y", status=1)
        assert unsupported["message"] == (
            "the development chain does not support the call SubtensorModule.register_network"
        )


async def test_sealed_weights(tmp_path: Path) -> None:
    """With commit-reveal on, `weights set` and `weights commit` both commit; the chain holds what waits."""
    async with btcli(tmp_path, commit_reveal=True, tempo=1000, owner=keypair("//Val0").ss58_address) as (cli, _):
        assert (await cli.run("subnets", "register", "--netuid", "1", "-y"))["success"]
        chosen = ("--netuid", "1", "--uids", "1,2", "--weights", "0.5,0.5", "-y")
        assert (await cli.run("misc", "weights", "set", *chosen))["success"]
        assert (await cli.run("misc", "weights", "commit", *chosen))["success"]
        assert len(cli.node.chain.head.state.commits) == 2
        assert (await cli.run("subnets", "show", "1"))["owner_coldkey"] == keypair("//Val0//cold").ss58_address
