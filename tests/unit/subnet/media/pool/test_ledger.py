"""The ledger: at most once per hotkey, by content, durable."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import StateError
from subnet.media.pool.ledger import Ledger

NAMES = st.sampled_from([f"hotkey-{n}" for n in range(5)])
CONTENTS = st.sampled_from([f"{n:032x}" for n in range(6)])


@given(st.lists(st.tuples(CONTENTS, st.sets(NAMES))), st.lists(CONTENTS), st.sets(NAMES))
def test_blocked_equals_a_plain_set(asks: list[tuple[str, set[str]]], contents: list[str], hotkeys: set[str]) -> None:
    """After any history, claims and what is blocked equal look-ups in a plain set of pairs."""
    with Ledger() as ledger:
        pairs: set[tuple[str, str]] = set()
        for content, names in asks:
            fresh = not any((content, name) in pairs for name in names)
            assert ledger.claim(content, names, now=0.0) is fresh
            pairs |= {(content, name) for name in names} if fresh else set()
        expected = {c for c in contents if any((c, h) in pairs for h in hotkeys)}
        assert ledger.blocked(contents, hotkeys) == expected
        for name in hotkeys:
            assert ledger.asked(name) == sum(hotkey == name for _, hotkey in pairs)


def test_it_survives_a_new_start(tmp_path: Path) -> None:
    """What was recorded is still blocked after the file is opened again."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.claim("aa", ["alice"], now=1.0)
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.blocked(["aa", "bb"], ["alice"]) == {"aa"}
        assert ledger.blocked(["aa"], ["bob"]) == set()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Every record that returned before a SIGKILL is there afterwards."""
    program = (
        "import sys, pathlib\nfrom subnet.media.pool.ledger import Ledger\n"
        f"ledger = Ledger(pathlib.Path({str(tmp_path / 'ledger.db')!r}))\n"
        "for n in range(10**6):\n    ledger.claim(str(n), ['alice'], now=float(n))\n    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.read().split()
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.blocked(acknowledged, ["alice"]) == set(acknowledged)


def test_forgetting_bounds_the_file() -> None:
    """Items last asked before a time are dropped and may be asked again; later ones stay."""
    with Ledger() as ledger:
        ledger.claim("old", ["a"], now=1.0)
        ledger.claim("new", ["a"], now=2.0)
        assert ledger.forget(before=2.0) == 1
        assert ledger.blocked(["old", "new"], ["a"]) == {"new"}


def test_a_damaged_or_newer_file_is_named(tmp_path: Path) -> None:
    """Neither is silently replaced: both raise StateError with the path."""
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StateError, match=r"damaged\.db"):
        Ledger(damaged)
    newer = tmp_path / "newer.db"
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="upgrade"):
        Ledger(newer)
