"""Every program ends soon when it is told to, whatever it waits for: a silent chain, an empty pool, the next round."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron

SOON = 6.0  # seconds: two for the waits, and the rest for a machine that is busy with other tests
CONSTANT = ("--detector.image", "constant", "--detector.video", "constant-video", "--axon.ip", "127.0.0.1")


@pytest.fixture(scope="module")
def wallets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wallets")
    for name in ("validator", "miner"):
        wallet_from_seed(name, folder, "stop")
    return folder


@pytest.fixture(scope="module")
def silence() -> Iterator[str]:
    """A node that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def chain(wallets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A development chain that knows both hotkeys."""
    keys = {name: wallet_from_seed(name, wallets, "stop").hotkey.ss58_address for name in ("validator", "miner")}
    neurons = tuple(
        GenesisNeuron(key, key, stake=100_000.0 if name == "validator" else 0.0) for name, key in keys.items()
    )
    path = tmp_path_factory.mktemp("chain") / "genesis.json"
    path.write_text(Genesis(34, neurons).to_json())
    words = ["-m", "subnet.chain.devnode", "--genesis", str(path), "--port", "0", "--block-ms", "250"]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.terminate()


def stopped(words: list[str], log: Path, sign: str, number: signal.Signals) -> tuple[int, float]:
    """Start a program, wait until `sign` stands in its log, send the signal: its status, and seconds to its end."""
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "neurons", *words], stderr=file, stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 120
        while sign not in log.read_text() and process.poll() is None and time.monotonic() < ends:
            time.sleep(0.05)
        assert sign in log.read_text(), log.read_text()[-2000:]
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(number)
        status = process.wait(60)
        assert "Traceback" not in log.read_text()
        return status, time.monotonic() - began
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("program", ["validator", "miner"])
def test_a_silent_chain_holds_up_no_end(
    program: str, number: signal.Signals, wallets: Path, silence: str, tmp_path: Path
) -> None:
    """Neither program waits for its call's deadline of twenty seconds."""
    words = [program, "--netuid", "34", "--subtensor.chain_endpoint", silence, "--logging.level", "debug"]
    words += ["--wallet.path", str(wallets), "--wallet.name", program, "--state", str(tmp_path)]
    words += [*CONSTANT, "--local"] if program == "miner" else []
    status, seconds = stopped(words, tmp_path / "log", "looking at the chain", number)
    assert status == 0
    assert seconds < SOON


def test_an_empty_pool_holds_up_no_end(wallets: Path, chain: str, tmp_path: Path) -> None:
    """A validator of a local network waits a minute for its producer, but not when it is told to end."""
    words = ["validator", "--netuid", "34", "--subtensor.chain_endpoint", chain, "--wallet.path", str(wallets)]
    words += ["--wallet.name", "validator", "--state", str(tmp_path / "state"), "--pool.path", str(tmp_path / "pool")]
    status, seconds = stopped([*words, "--local"], tmp_path / "log", "playing", signal.SIGTERM)
    assert status == 0
    assert seconds < SOON
