"""State that cannot be used, and output that nobody reads, with the real programs: a status, one line, no traceback.

What a program makes of its files is looked at in this process; what comes of its streams in processes of their own.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from subnet.chain.devnode.keys import wallet_from_seed
from tests.unit.neurons.running import Assay
from tests.unit.subnet.evidence.journals import write_journal

VALIDATOR = ("validator", "--netuid", "34", "--subtensor.chain_endpoint", "ws://127.0.0.1:9")
COMMAND = (sys.executable, "-m", "neurons")


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str]) -> Assay:
    return Assay(capfd)


def line(printed: str) -> str:
    """The one line of the error."""
    assert "Traceback" not in printed, printed[-2000:]
    (told,) = [text for text in printed.splitlines() if text.startswith("assay: ")]
    return told


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("wallets")
    wallet_from_seed("v", folder, "state")
    return ("--wallet.path", str(folder), "--wallet.name", "v")


@pytest.mark.parametrize("name", ["empty", "state", "newer", "no folder", "read-only", "seed", "flipped", "orphan"])
def test_a_validator_does_not_start_on_state_that_is_not_whole(
    tmp_path: Path, wallet: tuple[str, ...], name: str, assay: Assay
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
    elif name == "flipped":
        path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 3000 + path.read_bytes()[7096:])
    elif name == "orphan":
        path.with_name("journal.db-wal").write_bytes(b"rounds of before")
        path = path.rename(tmp_path / "moved.db")
    elif name == "no folder":
        folder = path / "below a file"
    elif name == "read-only":
        folder = Path("/proc/1/assay")
    else:
        (folder / "seed").write_text("")
    before = path.read_bytes()
    done = assay(*VALIDATOR, *wallet, "--state", folder)
    assert (done.status, done.out) == (3, "")
    assert str(tmp_path if name != "read-only" else folder) in line(done.err)
    assert "--state" in line(done.err) or name not in ("no folder", "read-only")
    assert path.read_bytes()[:16] == before[:16]
    assert (folder / "journal.db").is_file() or name in ("orphan", "no folder", "read-only")


@pytest.mark.parametrize(
    ("home", "words"), [("file", ("producer", "--once", "--total", "1")), ("/proc/1/assay", VALIDATOR)]
)
def test_a_home_that_is_no_folder(
    tmp_path: Path,
    wallet: tuple[str, ...],
    home: str,
    words: tuple[str, ...],
    assay: Assay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """$ASSAY_HOME that is a file, or cannot be written: status 3 and the path."""
    (tmp_path / "file").write_text("")
    where = tmp_path / home
    monkeypatch.setenv("ASSAY_HOME", str(where))
    done = assay(*words, *(wallet if words is VALIDATOR else ()))
    assert done.status == 3
    assert str(where) in line(done.err)


def test_a_metrics_port_that_is_taken(wallet: tuple[str, ...], assay: Assay) -> None:
    """Status 2 and the flag."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = assay(*VALIDATOR, *wallet, "--metrics_port", taken.getsockname()[1])
    assert done.status == 2
    assert "--metrics_port" in line(done.err)


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
    assert line(done.stderr).endswith("standard output, or a file: No space left on device")
    assert len(done.stderr.splitlines()) == 1


def test_a_variable_applies_to_its_own_command(
    tmp_path: Path, wallet: tuple[str, ...], assay: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASSAY_SEED is nobody's and refused, ASSAY_VALIDATOR_SEED the validator's, ASSAY_PRODUCER_SEED not."""
    words = (*VALIDATOR, *wallet, "--state", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken, monkeypatch.context() as patch:
        port = str(taken.getsockname()[1])
        wrong = {"ASSAY_PRODUCER_SEED": "x", "ASSAY_MINER_NETUDI": "x"}
        for name, value in {"ASSAY_VALIDATOR_METRICS_PORT": port, **wrong}.items():
            patch.setenv(name, value)
        assert f"--metrics_port {port}" in line(assay(*words).err)
    with monkeypatch.context() as patch:
        patch.setenv("ASSAY_VALIDATOR_SEED", "x")
        done = assay(*words)
    assert "ASSAY_VALIDATOR_SEED" in line(done.err)
    assert done.status == 2
    monkeypatch.setenv("ASSAY_SEED", "7")
    done = assay(*words)
    assert "ASSAY_SEED is no setting of assay validator; did you mean ASSAY_VALIDATOR_SEED?" in line(done.err)
    assert done.status == 2


def test_a_secret_seed_is_read_from_a_file(tmp_path: Path, wallet: tuple[str, ...], assay: Assay) -> None:
    """What holds no number is told with the flag; both flags at once are a mistake."""
    (tmp_path / "seed").write_text("no number")
    done = assay(*VALIDATOR, *wallet, "--state", tmp_path / "state", "--seed_file", tmp_path / "seed")
    assert (done.status, "--seed_file" in line(done.err)) == (2, True)
    assert not (tmp_path / "state" / "journal.db").exists()
    done = assay("producer", "--once", "--total", "1", "--seed_file", tmp_path / "seed")
    assert (done.status, "--seed_file" in line(done.err)) == (2, True)
