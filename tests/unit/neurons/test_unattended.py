"""Programs that nobody watches: none waits for an answer, and none tells a secret."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bittensor as bt
import pytest

from subnet.chain.devnode.keys import wallet_from_seed
from tests.places import ROOT
from tests.unit.neurons.running import Assay

ASKING = {"input", "getpass", "masked_input", "Prompt", "Confirm", "IntPrompt"}
ABSENT = "ws://joe:hush-hush@127.0.0.1:9"  # the discard port: nobody listens
SEED, PASSWORD, TOKEN = "918273645546", "open sesame 77", "hf_abcdefghijklmnop"
_LOCAL = ("miner", "--local", "--axon.ip", "127.0.0.1", "--axon.port", "0")
MINER = (*_LOCAL, "--detector.image", "constant", "--detector.video", "constant-video")


def test_no_module_asks() -> None:
    """Nothing of ours reads an answer from a terminal, by the standard library or by rich."""
    for package in ("neurons", "subnet", "detectors", "generators"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", None) if isinstance(node.func, ast.Attribute) else None
                    name = node.func.id if isinstance(node.func, ast.Name) else name
                    assert name not in ASKING or _is_of_a_network(node), f"{path}:{node.lineno}"
                if isinstance(node, ast.ImportFrom | ast.Import):
                    assert not {alias.name for alias in node.names} & ASKING, f"{path}:{node.lineno}"


def _is_of_a_network(call: ast.Call) -> bool:
    """`self.input(...)`: a layer of a network that is called so."""
    return (
        isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == "self"
    )


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wallet "w" whose hotkey has a password."""
    folder = tmp_path_factory.mktemp("encrypted")
    wallet = wallet_from_seed("w", folder, "unattended")
    wallet.hotkey_file.set_keypair(wallet.hotkey, encrypt=True, overwrite=True, password=PASSWORD)
    return folder


def run(
    words: tuple[object, ...], seconds: float, enough: Callable[[], bool] = lambda: False, **environment: str
) -> tuple[int | None, str]:
    """Exit status, None for one that had to be stopped, after `seconds` or when `enough` says so, and all it printed.

    Standard input is a pipe that stays open and silent, and there is no terminal: a question would wait for ever.
    """
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "neurons", *map(str, words)]
    process = subprocess.Popen(
        command,
        stdin=reading,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    ends = time.monotonic() + seconds
    try:
        while process.poll() is None and time.monotonic() < ends and not enough():
            time.sleep(0.05)
        status = process.poll()
        process.terminate()
        return status, process.communicate(timeout=60)[0]
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("program", [MINER, ("validator",)], ids=["miner", "validator"])
def test_an_encrypted_hotkey_asks_nobody(program: tuple[str, ...], encrypted: Path) -> None:
    """Without a terminal and a password it is refused with the fix, where the SDK would wait for one for ever."""
    where = ("--wallet.path", encrypted, "--wallet.name", "w", "--subtensor.chain_endpoint", "ws://127.0.0.1:9")
    status, printed = run((*program, "--netuid", "3", *where), 120)
    assert status == 2, printed
    assert "is encrypted, and nobody is here to type its password" in printed
    assert "BT_PW_" in printed
    assert "Enter password" not in printed


def test_the_password_that_the_sdk_keeps_opens_it(encrypted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the variable of the key's path, as `save_password_to_env` writes it."""
    from subnet.chain.wallets import open_wallet

    file = bt.Wallet("w", "default", str(encrypted)).hotkey_file
    monkeypatch.setenv(file.env_var_name(), "")  # so that it is taken back at the end
    file.save_password_to_env(PASSWORD)
    wanted = wallet_from_seed("w", encrypted / "again", "unattended").hotkey.ss58_address
    assert open_wallet("w", "default", str(encrypted)).hotkey.ss58_address == wanted


@pytest.mark.parametrize("name", ["miner", "validator", "producer"])
def test_no_program_tells_a_secret(name: str, tmp_path: Path) -> None:
    """Not at the level debug, neither on its streams nor in its log: seeds, tokens, passwords, a node's password."""
    wallet_from_seed("w", tmp_path, "unattended")
    log = tmp_path / "log.jsonl"
    common: tuple[object, ...] = ("--logging.debug", "--logging.file", log)
    chain = ("--netuid", 3, "--subtensor.chain_endpoint", ABSENT, "--wallet.path", tmp_path, "--wallet.name", "w")
    words: dict[str, tuple[object, ...]] = {
        "miner": (*MINER, *chain),
        "validator": ("validator", *chain, "--seed", SEED, "--state", tmp_path / "state"),
        "producer": ("producer", "--seed", SEED, "--once", "--total", 1, "--pool.path", tmp_path / "pool"),
    }
    secrets = {"BT_WALLET_PASSWORD": PASSWORD, "HF_TOKEN": TOKEN, "ASSAY_HOME": str(tmp_path / "home")}
    pool = tmp_path / "pool"

    def enough() -> bool:
        """It has logged, or done, what a start does."""
        return log.exists() and (
            bool(list(pool.rglob("*.item"))) if name == "producer" else "***@127.0.0.1:9" in log.read_text()
        )

    _, printed = run((*words[name], *common), 120, enough, **secrets)
    told = printed + log.read_text()
    assert "Traceback" not in printed
    assert "***@127.0.0.1:9" in told or name == "producer"  # the node is named, and how to enter it is not
    for secret in (SEED, PASSWORD, TOKEN, "hush-hush"):
        assert secret not in told


@pytest.mark.parametrize("name", ["ASSAY_VALIDATOR_SEED", "ASSAY_PRODUCER_SEED"])
@pytest.mark.parametrize("value", ["0x918273645546", "-918273645546"])
def test_a_secret_that_is_refused_is_not_shown(
    name: str, value: str, assay: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable or the flag, and what is wrong, and not the seed itself."""
    monkeypatch.setenv(name, value)
    program = name.split("_")[1].lower()
    ran = assay(program, *(("--netuid", 3) if program == "validator" else ()))
    assert ran.status == 2
    assert "seed" in ran.message.lower()
    assert SEED not in ran.out + ran.err
