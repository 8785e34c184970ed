"""State that cannot be used, and output that nobody reads, with the real programs: a status, one line, no traceback."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from subnet.chain.devnode.keys import wallet_from_seed
from tests.unit.subnet.evidence.journals import write_journal

VALIDATOR = ("validator", "--netuid", "34", "--subtensor.chain_endpoint", "ws://127.0.0.1:9")
COMMAND = (sys.executable, "-m", "neurons")


def assay(*words: object, **environment: object) -> subprocess.CompletedProcess[str]:
    full = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    command = [*COMMAND, *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=full)


def line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of the error."""
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    (told,) = [text for text in done.stderr.splitlines() if text.startswith("assay: ")]
    return told


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("wallets")
    wallet_from_seed("v", folder, "state")
    return ("--wallet.path", str(folder), "--wallet.name", "v")


@pytest.mark.parametrize("name", ["empty", "state", "newer", "no folder", "read-only", "seed"])
def test_a_validator_does_not_start_on_state_that_is_not_whole(
    tmp_path: Path, wallet: tuple[str, ...], name: str
) -> None:
    """Status 3, and one line that names the file or folder; what lies there stays as it is."""
    folder = tmp_path / "state"
    path = folder / "journal.db"
    write_journal(path, 6)
    if name == "empty":
        path.write_bytes(b"")
    elif name == "state":
        with sqlite3.connect(path) as db:
            db.execute("UPDATE state SET value = replace(CAST(value AS TEXT), '0.', '0.9')")
        db.close()
    elif name == "newer":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    elif name == "no folder":
        folder = path / "below a file"
    elif name == "read-only":
        folder = Path("/proc/1/assay")
    else:
        (folder / "seed").write_text("")
    before = path.read_bytes()
    done = assay(*VALIDATOR, *wallet, "--state", folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert str(tmp_path if name != "read-only" else folder) in line(done)
    assert "--state" in line(done) or name not in ("no folder", "read-only")
    assert path.read_bytes()[:16] == before[:16]


@pytest.mark.parametrize(
    ("home", "words"), [("file", ("producer", "--once", "--total", "1")), ("/proc/1/assay", VALIDATOR)]
)
def test_a_home_that_is_no_folder(tmp_path: Path, wallet: tuple[str, ...], home: str, words: tuple[str, ...]) -> None:
    """$ASSAY_HOME that is a file, or cannot be written: status 3 and the path."""
    (tmp_path / "file").write_text("")
    where = tmp_path / home
    done = assay(*words, *(wallet if words is VALIDATOR else ()), ASSAY_HOME=where)
    assert done.returncode == 3
    assert str(where) in line(done)


def test_a_metrics_port_that_is_taken(wallet: tuple[str, ...]) -> None:
    """Status 2 and the flag."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = assay(*VALIDATOR, *wallet, "--metrics_port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "--metrics_port" in line(done)


@pytest.mark.parametrize("words", [("generators",), ("detectors", "--json")])
def test_nobody_reads_what_is_printed(words: tuple[str, ...]) -> None:
    """A closed pipe is no error to tell: silence, and no status of a mistake."""
    process = subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (1, 141)
    assert told == b""


def test_what_is_printed_finds_no_room() -> None:
    """A full disk behind standard output is told, status 3."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "generators", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert done.returncode == 3
    assert line(done).endswith("standard output, or a file: No space left on device")
    assert len(done.stderr.splitlines()) == 1


def test_a_variable_applies_to_its_own_command(tmp_path: Path, wallet: tuple[str, ...]) -> None:
    """ASSAY_SEED is nobody's and refused, ASSAY_VALIDATOR_SEED the validator's, ASSAY_PRODUCER_SEED not."""
    wrong = {"ASSAY_PRODUCER_SEED": "x", "ASSAY_MINER_NETUDI": "x"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = assay(*VALIDATOR, *wallet, "--state", tmp_path, ASSAY_VALIDATOR_METRICS_PORT=port, **wrong)
    assert f"--metrics_port {port}" in line(done)
    done = assay(*VALIDATOR, *wallet, "--state", tmp_path, ASSAY_VALIDATOR_SEED="x")
    assert "ASSAY_VALIDATOR_SEED" in line(done)
    assert done.returncode == 2
    done = assay(*VALIDATOR, *wallet, "--state", tmp_path, ASSAY_SEED=7)
    assert "ASSAY_SEED is no setting of assay validator; did you mean ASSAY_VALIDATOR_SEED?" in line(done)
    assert done.returncode == 2


def test_a_secret_seed_is_read_from_a_file(tmp_path: Path, wallet: tuple[str, ...]) -> None:
    """What holds no number is told with the flag; both flags at once are a mistake."""
    (tmp_path / "seed").write_text("no number")
    done = assay(*VALIDATOR, *wallet, "--state", tmp_path / "state", "--seed_file", tmp_path / "seed")
    assert (done.returncode, "--seed_file" in line(done)) == (2, True)
    assert not (tmp_path / "state" / "journal.db").exists()
    done = assay("producer", "--once", "--total", "1", "--seed_file", tmp_path / "seed", ASSAY_HOME=tmp_path / "home")
    assert (done.returncode, "--seed_file" in line(done)) == (2, True)
