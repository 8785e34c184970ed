"""`assay web` as a program: it follows a journal that grows, survives its damage, and ends when it is told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from tests.unit.subnet.evidence.journals import play, write_journal

SECONDS = 60


@dataclass(frozen=True)
class Program:
    """The running program, and the journal that it shows."""

    process: subprocess.Popen[str]
    address: str
    journal: Path

    def ask(self, path: str) -> tuple[int, dict[str, str], str]:
        """Status, headers in small letters, and text of a page."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=10) as response:
                return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode()

    def until(self, path: str, holds: Callable[[int, str], bool]) -> tuple[int, dict[str, str], str]:
        """Ask until it holds for status and text."""
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            status, headers, text = self.ask(path)
            if holds(status, text):
                return status, headers, text
            time.sleep(0.1)
        raise AssertionError(f"{path}: not in {SECONDS} s, last {status}: {text}")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    journal = tmp_path / "state" / "journal.db"
    journal.parent.mkdir()
    write_journal(journal, 5)
    words = [sys.executable, "-m", "neurons", "web", str(journal), "--port", "0", "--refresh", "0.1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said: dict[str, Any] = next(
                told for line in process.stderr if (told := json.loads(line))["event"] == "listening"
            )
            yield Program(process, said["address"], journal)
        finally:
            process.kill()


def rounds(text: str) -> int:
    return int(json.loads(text).get("rounds", -1))


def test_pages_follow_a_journal_that_grows(program: Program) -> None:
    """Rounds that a validator writes meanwhile are on the page, and in the trends, without a restart."""
    program.until("1/scoreboard.json", lambda status, text: status == 200 and rounds(text) == 5)
    journal = Journal(program.journal)
    store = StateStore(journal)
    for expected in (6, 9, 30):
        play(store, expected - store.state.next_round)
        _, _, text = program.until("1/scoreboard.json", lambda _, text, now=expected: rounds(text) == now)
        assert {len(row["trend"]) for row in json.loads(text)["miners"]} == {expected}
    journal.close()
    status, _, page = program.ask("1/scoreboard")
    assert status == 200
    assert "30 rounds" in page


def test_damage_is_a_page_and_mending_brings_the_site_back(program: Program) -> None:
    """503 with the reason and Retry-After while the file is broken or gone; the program goes on, and ends with status 0."""
    program.until("1/scoreboard", lambda status, _: status == 200)
    whole = program.journal.read_bytes()
    for harm in (lambda: program.journal.write_bytes(b"no journal" * 500), program.journal.unlink):
        harm()
        _, headers, text = program.until("1/scoreboard", lambda status, _: status == 503)
        assert headers["retry-after"] == "5"
        assert "cannot be shown" in text
        assert str(program.journal.parent) not in text
        assert program.ask("incentive")[0] == 200
        program.journal.write_bytes(whole)
        program.until("1/scoreboard", lambda status, _: status == 200)
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(30) == 0
