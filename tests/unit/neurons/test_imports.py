"""Wrong flags answer before anything heavy is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from neurons.cli import build
from neurons.commands.reference import chains

HEAVY = {
    *("torch", "numpy", "bittensor", "fastapi", "aiohttp", "scipy", "sklearn", "matplotlib", "av", "PIL"),
    *("onnxruntime", "diffusers", "transformers", "pyarrow", "uvicorn", "starlette"),
}
CODE = """
import json, os, sys, tempfile
from neurons.cli import main

def told(words):
    with tempfile.TemporaryFile("w+") as errors:
        if not os.fork():
            os.dup2(errors.fileno(), 2)
            status = 0
            try:
                main([*words, "--wrong_flag", "1"])
            except SystemExit as ended:
                status = ended.code
            print(json.dumps([status, sorted({name.split(".")[0] for name in sys.modules})]), flush=True)
            os._exit(0)
        os.wait()
        errors.seek(0)
        print(json.dumps(errors.read()), flush=True)

for words in json.loads(sys.argv[1]):
    told(words)
"""
CHAINS = list(chains(build()))


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, ...], tuple[int, set[str], str]]:
    """Status, packages that were loaded and the message of every command with a wrong flag.

    Each is a fork of one process that has loaded the command line and no command.
    """
    words = [sys.executable, "-c", CODE, json.dumps(CHAINS)]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    told = zip(map(json.loads, lines[::2]), map(json.loads, lines[1::2]), strict=True)
    return {c: (status, set(loaded), said) for c, ((status, loaded), said) in zip(CHAINS, told, strict=True)}


@pytest.mark.parametrize("chain", CHAINS, ids=" ".join)
def test_a_wrong_flag_loads_nothing_heavy(
    chain: tuple[str, ...], answers: dict[tuple[str, ...], tuple[int, set[str], str]]
) -> None:
    """The flags of every command are known without arrays, codecs, networks or models: half a second at most.

    What is loaded is looked at and not the clock, which a busy machine would turn.
    """
    status, loaded, said = answers[chain]
    wanted = "wrong_flag" if chain != ("config",) else "Unknown command"
    assert (status, wanted in said) == (2, True), said
    assert HEAVY & loaded == set()
