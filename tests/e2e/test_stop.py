"""Every program ends within two seconds when it is told to, at any moment of its life.

While it starts, and whatever it waits for: a silent chain, an empty pool, an item that is in the making.
"""

from __future__ import annotations

import contextlib
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

SOON = 10.0  # seconds: half of the shortest wait that a program must not sit out
MOMENTS = (0.02, 0.3, 1.0, 2.5)  # seconds after the start: at import, loading, at the first look at the chain
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


def load() -> float:
    """Seconds that the bare interpreter takes to start and end now: 0.02 on a machine with nothing else to do."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    return time.monotonic() - began


def started(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen([sys.executable, "-m", "neurons", *words], stderr=file, stdout=subprocess.DEVNULL)


def ended(process: subprocess.Popen[bytes], log: Path, number: signal.Signals) -> int:
    """Send the signal to a program that must end soon: its status."""
    try:
        busy = load()
        began = time.monotonic()
        process.send_signal(number)
        status = process.wait(60)
        seconds = time.monotonic() - began
        assert "Traceback" not in log.read_text()
        assert seconds < SOON + busy + load()
        return status
    finally:
        process.kill()
        process.wait()


def stopped(words: list[str], log: Path, sign: str, number: signal.Signals) -> int:
    """Start a program, wait until `sign` stands in its log, send the signal: its status."""
    process = started(words, log)
    try:
        ends = time.monotonic() + 120
        while sign not in log.read_text() and process.poll() is None and time.monotonic() < ends:
            time.sleep(0.05)
        assert sign in log.read_text(), log.read_text()[-2000:]
        time.sleep(0.5)
        return ended(process, log, number)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("program", "number"),
    [("validator", signal.SIGTERM), ("validator", signal.SIGHUP), ("miner", signal.SIGTERM)],  # its SIGHUP is a reload
)
def test_a_silent_chain_holds_up_no_end(
    program: str, number: signal.Signals, wallets: Path, silence: str, tmp_path: Path
) -> None:
    """Neither program waits for its call's deadline of twenty seconds."""
    words = [program, "--netuid", "34", "--subtensor.chain_endpoint", silence, "--logging.level", "debug"]
    words += ["--wallet.path", str(wallets), "--wallet.name", program, "--state", str(tmp_path)]
    words += [*CONSTANT, "--local"] if program == "miner" else []
    assert stopped(words, tmp_path / "log", "looking at the chain", number) == 0


def test_an_empty_pool_holds_up_no_end(wallets: Path, chain: str, tmp_path: Path) -> None:
    """A validator of a local network waits a minute for its producer, but not when it is told to end."""
    words = ["validator", "--netuid", "34", "--subtensor.chain_endpoint", chain, "--wallet.path", str(wallets)]
    words += ["--wallet.name", "validator", "--state", str(tmp_path / "state"), "--pool.path", str(tmp_path / "pool")]
    words += ["--neuron.forward"]  # the chain knows this hotkey from other runs
    assert stopped([*words, "--local"], tmp_path / "log", "playing", signal.SIGTERM) == 0


STARTS = [
    *(("validator", number) for number in (signal.SIGTERM, signal.SIGINT)),
    *((program, signal.SIGTERM) for program in ("miner", "producer", "localnet")),
    *(pytest.param(each, signal.SIGINT, marks=pytest.mark.slow) for each in ("miner", "producer", "localnet")),
]  # both signals have one handler: tests/unit/neurons/test_signals.py holds it for each, in every state


@pytest.mark.parametrize(("program", "number"), STARTS)
def test_a_start_is_broken_off(program: str, number: signal.Signals, wallets: Path, chain: str, tmp_path: Path) -> None:
    """At import, while networks are loaded, and when it runs: it ends at once, and so does all that it started."""
    joined = ["--netuid", "34", "--subtensor.chain_endpoint", chain, "--wallet.path", str(wallets)]
    joined += ["--wallet.name", program, "--local", "--state", str(tmp_path / "state")]
    pool = ["--pool.path", str(tmp_path / "pool")]
    words = {
        "validator": ["validator", *joined, *pool, "--neuron.forward"],  # the chain knows this hotkey from others' runs
        "miner": ["miner", *joined, "--axon.ip", "127.0.0.1", "--axon.port", "0"],
        "producer": ["producer", *pool, "--seed", "1", "--total", "40", "--device", "cpu"],
        "localnet": ["localnet", "--rounds", "9", "--out"],
    }[program]
    for moment in MOMENTS[number is signal.SIGINT :]:  # Ctrl-C before our first line is Python's to tell
        run = tmp_path / f"run-{moment}"
        process = started([*words, str(run)] if program == "localnet" else words, tmp_path / "log")
        time.sleep(moment + 5 * load())
        assert ended(process, tmp_path / "log", number) in (0, 130, -number)
        assert no_process_names(run)


def no_process_names(folder: Path) -> bool:
    """Whether no process is left that has `folder` on its command line."""
    ends = time.monotonic() + 1
    while any(str(folder).encode() in words for words in command_lines()):
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()
