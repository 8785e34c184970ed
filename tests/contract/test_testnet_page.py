"""docs/testnet.md, walked through: every command that the development chain can answer is run, in the page's order."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from subnet.chain.devnode.keys import seeded
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.node.server import devnode
from tests.places import ROOT

PAGE = (ROOT / "docs/testnet.md").read_text()
BIN = Path(sys.executable).parent

# What cannot be answered here, and why.
LEFT_OUT: Final[Mapping[str, str]] = {
    "btcli subnets create-cost": "the development chain has the one subnet of its genesis",
    "btcli subnets create": "the same; test_btcli.py holds the one line that says so",
    "btcli hparams check-start": "the subnet of the genesis has begun",
    "btcli hparams start": "the same",
    "assay publish": "epochs end after hours; tests/e2e/test_localnet.py publishes and verifies a played one",
    "assay verify": "the same",
}
# What the test adds: a short production, a round's line in the log, a free port.
MORE: Final[Mapping[str, tuple[str, ...]]] = {
    "producer": ("--once", "--total", "8"),
    "validator": ("--logging.debug",),
    "miner": ("--axon.port", "0", "--axon.external_port", "8091"),
}
# Programs that stay, and the line by which they are well.
STAY: Final[Mapping[str, str]] = {
    "assay producer": "",
    "assay validator": '"event": "round"',
    "assay miner": '"event": "published"',
}


def commands() -> list[str]:
    """Every line of the page's blocks of shell."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def name_of(line: str) -> str:
    """The words of a command before its first flag or argument: `btcli stake add`."""
    words = line.split()
    groups = {"wallet", "subnets", "stake", "hparams", "query", "pool", "journal"}
    return " ".join(words[:3] if words[1] in groups else words[:2])


def test_what_is_left_out_stands_on_the_page() -> None:
    """No reason is kept for a command that the page does not have, and most of the page is run."""
    names = [name_of(line) for line in commands()]
    assert names
    assert set(LEFT_OUT) | set(STAY) <= set(names)
    assert len([name for name in names if name not in LEFT_OUT]) >= 20
    assert all(line.split()[0] in {"btcli", "assay"} for line in commands())


def _words(line: str, endpoint: str, hotkey: str) -> list[str]:
    """The command with the development chain for the test network, and the page's placeholders filled in."""
    line = line.replace("-n test", f"-n {endpoint}").replace(
        "--subtensor.network test", f"--subtensor.chain_endpoint {endpoint}"
    )
    line = re.sub(r"validator-N-HOTKEY", f"validator-1-{hotkey}", line).replace("~/.assay", "home")
    words = [{"N": "1", "IP": "9.9.9.9"}.get(word, word) for word in shlex.split(line)]
    if words[0] == "assay":
        return [sys.executable, "-m", "neurons", *words[1:], *MORE.get(words[1], ())]
    unasked = {"btcli wallet create": ["--no-password"], "btcli subnets register": ["-y"], "btcli stake add": ["-y"]}
    return [str(BIN / "btcli"), *words[1:], *unasked.get(name_of(line), [])]


async def _run(words: list[str], environment: dict[str, str], folder: Path, well: str | None) -> str:
    """What it prints, once it ends well; one that stays is asked to stop when it says `well`."""
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    told = []
    async with asyncio.timeout(600):
        async for line in process.stdout:
            told.append(line.decode())
            if well and well in told[-1]:
                process.send_signal(signal.SIGTERM)
        status = await process.wait()
    text = "".join(told)
    assert status == 0, f"{words}: {text}"
    assert not well or well in text, f"{words}: {text}"
    return text


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_the_page_is_walked_through(tmp_path: Path) -> None:
    """One wallet, one node, and the page from its first command to its last."""
    genesis = seeded(validators=1, miners=3, rules=Rules(tempo=5, weights_rate_limit=0))
    environment = os.environ | {
        "HOME": str(tmp_path),
        "BT_WALLET_PATH": str(tmp_path / "wallets"),
        "BITTENSOR_RUNTIME_CACHE_DIR": str(tmp_path / "cache"),
        "ASSAY_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    hotkey, answers = "", {}
    async with devnode(genesis, block_ms=250) as node:
        for line in commands():
            if (name := name_of(line)) in LEFT_OUT:
                continue
            words = _words(line, node.endpoint, hotkey)
            if name == "assay doctor":
                words += ["--clock_url", ""]
            text = await _run(words, environment, tmp_path, STAY.get(name))
            answers[name] = text
            if found := re.search(r'"event": "playing", "hotkey": "(\w+)"', text):
                hotkey = found[1]
        state = node.chain.head.state
    assert {"btcli wallet registrations", "assay replay"} <= answers.keys()
    assert len(state.rows) == 6
