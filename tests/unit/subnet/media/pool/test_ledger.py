"""The ledger: at most once per hotkey, by content, durable."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
    with pytest.raises(StateError, match=r"newer\.db was written by a newer Assay \(schema 99, this one knows 1\)"):
        Ledger(newer)
    orphan = tmp_path / "orphan.db-wal"
    orphan.write_bytes(b"what was asked before")
    with pytest.raises(StateError, match=r"orphan\.db is missing, but orphan\.db-wal of it is there"):
        Ledger(tmp_path / "orphan.db")
    assert orphan.read_bytes() == b"what was asked before"


def test_what_may_still_be_drawn_is_never_forgotten() -> None:
    """However old: a content whose file lies in a pool stays blocked; hotkeys of which nothing is left go."""
    with Ledger() as ledger:
        assert ledger.oldest() == float("inf")
        for content, hotkey in (("here", "a"), ("gone", "b"), ("young", "a")):
            ledger.claim(content, [hotkey], now=9.0 if content == "young" else 1.0)
        assert ledger.oldest() == 1.0
        assert ledger.forget(before=5.0, present=["here", "other"]) == 1
        assert ledger.blocked(["here", "gone", "young"], ["a", "b"]) == {"here", "young"}
        assert not ledger.claim("here", ["a"], now=10.0)
        assert ledger.claim("gone", ["b"], now=10.0)
        assert (ledger.asked("a"), ledger.asked("b")) == (2, 1)


def test_a_full_disk_costs_no_claim(tmp_path: Path) -> None:
    """Claims the disk refuses block like written ones, and are written once it gives room: SQLite's own SQLITE_FULL."""
    hotkeys = [f"hotkey-{n}-{'x' * 200}" for n in range(100)]
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.claim("before", hotkeys, now=0.0)
        ledger._db.execute("PRAGMA max_page_count=1")
        for n in range(5):
            assert ledger.claim(f"full-{n}", [*hotkeys, f"new-{n}-{'y' * 5000}"], now=1.0)
        assert not ledger.claim("full-3", hotkeys[:1], now=2.0)
        assert ledger.blocked(["full-0", "before", "free"], hotkeys[5:6]) == {"full-0", "before"}
        assert ledger.blocked(["full-0"], ["somebody else"]) == set()
        assert ledger.asked(hotkeys[0]) == 6
        assert ledger.unwritten == 5
        assert "full" in ledger.refusal
        ledger._db.execute("PRAGMA max_page_count=1000000")
        assert ledger.claim("after", hotkeys, now=3.0)
        assert (ledger.unwritten, ledger.refusal) == (0, "")
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.asked(hotkeys[0]) == 7


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    """A disk that has room again at the end takes it then."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger._db.execute("PRAGMA max_page_count=1")
        ledger.claim("waits", ["a" * 9000], now=0.0)
        assert ledger.unwritten == 1
        ledger._db.execute("PRAGMA max_page_count=1000000")
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.blocked(["waits"], ["a" * 9000]) == {"waits"}


def test_damage_while_it_runs_is_a_state_error(tmp_path: Path) -> None:
    """Every method's own: the round that asks is void, and the validator goes on."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.claim("a", ["b"], now=0.0)
    ledger._db.execute("DROP TABLE asked")
    for call in (
        lambda: ledger.blocked(["a"], ["b"]),
        lambda: ledger.claim("c", ["b"], now=0.0),
        lambda: ledger.asked("b"),
        lambda: ledger.forget(9.0),
    ):
        with pytest.raises(StateError, match=r"ledger\.db"):
            call()
    ledger._unwritten.clear()
    ledger.close()


def test_it_is_private_and_needs_a_folder(tmp_path: Path) -> None:
    """Others read neither it nor its log, also where it was open before; a path below a file is a StateError."""
    (tmp_path / "ledger.db").touch(0o644)
    tmp_path.chmod(0o755)
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.claim("a", ["b"], now=0.0)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path, *tmp_path.iterdir())}
        assert {modes.pop(tmp_path.name)} == {0o700}
        assert set(modes.values()) == {0o600}, modes
        assert len(modes) == 3
    with pytest.raises(StateError, match="cannot be made"):
        Ledger(tmp_path / "ledger.db" / "below")


def test_a_claim_under_way_is_no_refusal(tmp_path: Path) -> None:
    """Who asks while another thread writes a claim down waits for it: nothing is unwritten on a disk that works."""
    hotkeys = [f"hotkey-{n}" for n in range(500)]
    with Ledger(tmp_path / "ledger.db") as ledger, ThreadPoolExecutor(1) as executor:
        writing = executor.submit(lambda: [ledger.claim(f"{n}", hotkeys, now=0.0) for n in range(20)])
        counts = set()
        while not writing.done():
            counts.add(ledger.unwritten)
        assert all(writing.result())
        assert counts == {0}
