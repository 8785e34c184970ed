"""Weights & Biases, offline: the numbers are in its files, and nothing that it would gather by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neurons.settings import WandbSettings
from tests.places import ROOT
from tests.unit.neurons.running import Assay

SECRETS = {"argument": "wallet-words-8161", "variable": "token-of-somebody-4421", "console": "printed-seed-7734"}
PROGRAM = f"""
import os, sys
from pathlib import Path
from neurons.settings import WandbSettings
from neurons.validator.monitors.wandb_sink import WandbSink
sink = WandbSink(WandbSettings("assay", offline=len(sys.argv) > 3), Path(sys.argv[1]), {{"validator": "validator-34-alice"}})
print("{SECRETS["console"]}")
for number in range(7):
    sink.send({{"round": number, "block": 100 + number}})
sink.close()
"""


def test_it_is_off_unless_a_project_is_named() -> None:
    """--wandb.off wins, whatever a file or variable says."""
    assert not WandbSettings().on
    assert WandbSettings("assay").on
    assert not WandbSettings("assay", off=True).on


def test_without_wandb_the_extra_is_named(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the chain is looked at; nothing is asked of wandb where it is off."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    ran = assay("validator", "--netuid", "34", "--wandb.project_name", "assay")
    assert (ran.status, "pip install 'assay-subnet[wandb]'" in ran.message) == (2, True)


def test_importing_the_sink_imports_no_wandb() -> None:
    """Not before a thread opens it: its import takes seconds."""
    code = "import sys, neurons.validator.run; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("by", ["flag", "variable"])
def test_offline_the_numbers_are_kept_and_secrets_are_not(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments, variables and console of the process are in no file of the run; the rounds are."""
    pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    monkeypatch.setenv("SOME_API_TOKEN", SECRETS["variable"])
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef" * 2 + "01234567")
    if by == "variable":
        monkeypatch.setenv("WANDB_MODE", "offline")
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        str(tmp_path),
        SECRETS["argument"],
        *(["offline"] if by == "flag" else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (run,) = [content for path, content in files.items() if path.suffix == ".wandb"]
    assert run.count(b"block") >= 7
    everything = b"".join(files.values())
    for secret in (*SECRETS.values(), "0123456789abcdef"):
        assert secret.encode() not in everything, secret
    assert str(ROOT).encode() not in run  # wandb 0.22 names its folder in a log that stays here
    assert b"validator-34-alice" in everything
    assert json.dumps(sorted(path.name for path in files)).count("requirements") == 0
