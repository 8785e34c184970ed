"""`assay status`: how a validator or miner stands, from its folder and its port alone."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, WEIGHTS, WeightsRecord, record
from subnet.evidence.state import State, StateStore
from subnet.types import Label, Modality, Prediction, Submission
from tests.unit.neurons.running import Assay
from tests.unit.subnet.evidence.journals import play, played, write_journal

HOTKEY = "5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS1repo5EYjQX"


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Assay:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    return Assay(capfd)


def checks(facts: dict[str, object]) -> dict[str, str]:
    return {check["check"]: check["verdict"] for check in facts["checks"]}  # type: ignore[attr-defined]


def test_a_validator_that_runs(assay: Assay, tmp_path: Path) -> None:
    """The lock names the process, the journal the rounds; a pool that is not there fails, and so does the command."""
    folder = tmp_path / f"validator-1-{HOTKEY}"
    write_journal(folder / "journal.db", 5)
    journal = Journal(folder / "journal.db")
    try:
        ran = assay("status", "--json")
    finally:
        journal.close()
    assert ran.json["role"] == "validator"
    verdicts = checks(ran.json)
    assert {verdicts[name] for name in ("process", "journal", "last round", "failures")} == {"ok"}
    assert (verdicts["pool"], ran.json["ok"], ran.status) == ("fail", False, 1)
    assert {tuple(check) for check in ran.json["checks"]} == {("check", "verdict", "found", "fix")}


def test_a_validator_that_stopped_long_ago(assay: Assay, tmp_path: Path) -> None:
    """Neither its process nor its last round is well, and each says what to do."""
    folder = tmp_path / f"validator-1-{HOTKEY}"
    write_journal(folder / "journal.db", 5)
    for path in folder.glob("journal.db*"):
        os.utime(path, (time.time() - 7200,) * 2)
    ran = assay("status", "validator", "--json")
    failed = {check["check"]: check["fix"] for check in ran.json["checks"] if check["verdict"] == "fail"}
    assert {"process", "last round"} <= set(failed)
    assert all(failed.values())


def found(facts: dict[str, object], name: str) -> str:
    (check,) = (check for check in facts["checks"] if check["check"] == name)  # type: ignore[attr-defined]
    return str(check["found"])


def test_the_age_after_a_power_loss(assay: Assay, tmp_path: Path) -> None:
    """The log of the file was left behind: however often it is asked, two hours stay two hours."""
    folder, running = tmp_path / f"validator-1-{HOTKEY}", tmp_path / "running"
    write_journal(running / "journal.db", 5)
    journal = Journal(running / "journal.db")
    play(StateStore(journal), 1)
    folder.mkdir()
    for path in running.glob("journal.db*"):
        os.utime(shutil.copy(path, folder), (time.time() - 7200,) * 2)
    journal.close()
    assert (folder / "journal.db-wal").exists()
    for _ in range(2):
        ran = assay("status", "validator", "--json")
        assert checks(ran.json)["last round"] == "fail"
        assert "the journal was last written 7,2" in found(ran.json, "last round")


@pytest.mark.parametrize(
    ("seconds", "verdict", "says"),
    [(3600, "fail", ", 3,60"), (5, "ok", " s ago"), (-3600, "ok", "; the journal was last written ")],
)
def test_the_age_of_the_last_round_is_its_own(
    assay: Assay, tmp_path: Path, seconds: int, verdict: str, says: str
) -> None:
    """By what was signed in it: a journal in which only weights are still written has no fresh round."""
    folder = tmp_path / f"validator-1-{HOTKEY}"
    journal = Journal(folder / "journal.db")
    store = StateStore(journal)
    one = played(store.state.history, 0, Modality.IMAGE, Label.REAL, {"alice": Prediction(0.1)})
    asked = time.time_ns() - seconds * 10**9
    one = replace(one, replies=tuple(replace(reply, nonce=asked) for reply in one.replies))
    assert store.write(ROUND, record(one), State(1, one.history)) is None
    body = WeightsRecord(block=7, weights={0: 1.0}, submission=Submission.OK, code=None, message="")
    assert store.write(WEIGHTS, body) is None
    journal.close()
    ran = assay("status", "validator", "--json")
    assert checks(ran.json)["last round"] == verdict
    assert says in found(ran.json, "last round")


def test_a_damaged_journal(assay: Assay, tmp_path: Path) -> None:
    """It is named, in the table for people, too, and nothing raises."""
    folder = tmp_path / f"validator-1-{HOTKEY}"
    write_journal(folder / "journal.db", 5)
    (folder / "journal.db").write_bytes(b"")
    ran = assay("status")
    assert ran.status == 1
    assert "journal" in ran.out
    assert "restore a backup" in ran.out


@pytest.mark.parametrize(("name", "check"), [("ledger.db", "database"), ("epochs.json", "secrets")])
def test_what_lies_beside_the_journal(assay: Assay, tmp_path: Path, name: str, check: str) -> None:
    """A damaged ledger or file of secrets fails with its fix, and is left as it is."""
    folder = tmp_path / f"validator-1-{HOTKEY}"
    write_journal(folder / "journal.db", 5)
    path = folder / name
    path.write_text("no such thing " * 100)
    path.chmod(0o644)
    ran = assay("status", "validator", "--json")
    (failed,) = (row for row in ran.json["checks"] if row["check"] == check)
    assert (failed["verdict"], str(path) in failed["found"], ran.status) == ("fail", True, 1)
    assert failed["fix"]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("no such thing " * 100, 0o644)


def test_a_miner_that_does_not_run(assay: Assay, tmp_path: Path) -> None:
    """Nobody on its port: exit status 1."""
    (tmp_path / f"miner-1-{HOTKEY}").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = assay("status", "--axon.port", port, "--axon.ip", "127.0.0.1", "--json")
    assert (ran.json["role"], checks(ran.json)["process"], ran.status) == ("miner", "fail", 1)


def test_which_one_is_meant(assay: Assay, tmp_path: Path) -> None:
    """None, and several, are refused with what to name."""
    assert (assay("status").status, "--state" in assay("status").message) == (2, True)
    for name in ("miner-1-a", "validator-1-a"):
        (tmp_path / name).mkdir()
    ran = assay("status")
    assert ran.status == 2
    assert "miner-1-a" in ran.message
