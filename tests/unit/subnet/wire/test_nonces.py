"""The nonce store: nothing accepted twice, whatever happens to workers, files and clocks."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subnet.errors import StateError
from subnet.wire.nonces import SqliteNonceStore

SECOND = 10**9
NOW = 1_800_000_000 * SECOND


class Clocks:
    """A wall clock and a monotonic clock that tests move."""

    def __init__(self) -> None:
        self.wall, self.monotonic = NOW, 1_000_000 * SECOND

    def store(self, path: Path, retention: float = 3600.0) -> SqliteNonceStore:
        return SqliteNonceStore(path, retention, now_ns=lambda: self.wall, monotonic_ns=lambda: self.monotonic)

    def pass_time(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)
        self.monotonic += int(seconds * SECOND)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "nonces.sqlite"


@settings(max_examples=30)
@given(pairs=st.lists(st.tuples(st.sampled_from("abc"), st.integers(NOW, NOW + 20)), max_size=40))
def test_a_pair_is_new_exactly_once(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, int]]) -> None:
    """The store agrees with a set of what it was told."""
    store = Clocks().store(tmp_path_factory.mktemp("nonces") / "n.sqlite")
    seen: set[tuple[str, int]] = set()
    for hotkey, nonce in pairs:
        assert store.check_and_store(hotkey, nonce) == ((hotkey, nonce) not in seen)
        seen.add((hotkey, nonce))
    store.close()


def test_others_cannot_read_it(path: Path) -> None:
    """Neither it nor its log, also where an older version left it open."""
    path.parent.mkdir(mode=0o755)
    path.touch(0o644)
    store = Clocks().store(path)
    store.check_and_store("a", NOW)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {part.name: part.stat().st_mode & 0o777 for part in path.parent.iterdir()} == {
        path.name + suffix: 0o600 for suffix in ("", "-wal", "-shm", ".lock")
    }
    store.close()


def test_remembers_after_a_restart(path: Path) -> None:
    """A store on the same file refuses what an earlier one accepted."""
    clocks = Clocks()
    first = clocks.store(path)
    assert first.check_and_store("a", NOW)
    first.close()
    second = clocks.store(path)
    assert not second.check_and_store("a", NOW)
    assert second.check_and_store("a", NOW + 1)
    second.close()


def test_two_workers_share_it(path: Path) -> None:
    """What one worker accepted, another that is open at the same time refuses, both ways."""
    clocks = Clocks()
    one, other = clocks.store(path), clocks.store(path)
    assert one.check_and_store("a", NOW)
    assert not other.check_and_store("a", NOW)
    assert other.check_and_store("a", NOW + 1)
    assert not one.check_and_store("a", NOW + 1)
    one.close()
    other.close()


def test_workers_that_race(path: Path) -> None:
    """Of eight workers that are given the same hundred requests at once, each request is accepted by exactly one."""
    clocks = Clocks()
    stores = [clocks.store(path) for _ in range(8)]
    accepted: list[int] = []
    barrier = threading.Barrier(8)

    def work(store: SqliteNonceStore) -> None:
        barrier.wait()
        accepted.extend(nonce for nonce in range(NOW, NOW + 100) if store.check_and_store("a", nonce))

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(accepted) == list(range(NOW, NOW + 100))
    for store in stores:
        store.close()


CHILD = """
import sys, time
from pathlib import Path
from subnet.wire.nonces import SqliteNonceStore
store = SqliteNonceStore(Path(sys.argv[1]))
while True:
    nonce = time.time_ns()
    if store.check_and_store("a", nonce):
        sys.stdout.write(f"{nonce}\\n")
        sys.stdout.flush()
"""


def test_remembers_after_kill_9(path: Path) -> None:
    """A worker killed in mid-work has forgotten nothing that it accepted."""
    store = SqliteNonceStore(path)  # before the child, so that the file's floor lies below its nonces
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(200)]
    os.kill(child.pid, signal.SIGKILL)
    lines += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    nonces = [int(line) for line in lines if line.endswith("\n")]
    assert len(nonces) >= 200
    assert not any(store.check_and_store("a", nonce) for nonce in nonces)
    assert store.check_and_store("a", time.time_ns())
    store.close()


DAMAGE = {
    "garbage": lambda data: b"garbage" * 1000,
    "garbage in the middle": lambda data: data[:4096] + b"\xff" * 4096 + data[8192:],
    "cut in the middle": lambda data: data[: len(data) // 2],
    "header flipped": lambda data: bytes([data[0] ^ 0xFF]) + data[1:],
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_set_aside(path: Path, damage: object, caplog: pytest.LogCaptureFixture) -> None:
    """The file is kept as .bad, which is told, the new one works, and what the old one may have held is refused by age."""
    clocks = Clocks()
    store = clocks.store(path)
    for nonce in range(NOW, NOW + 2000):
        store.check_and_store("a", nonce)
    store.close()
    clocks.pass_time(5)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    store = clocks.store(path)
    assert path.with_name(path.name + ".bad").exists()
    (told,) = caplog.messages
    assert f"{path} is damaged: it is kept as {path.name}.bad" in told
    assert not store.check_and_store("a", NOW)  # accepted once, by the file that is gone
    assert not store.check_and_store("b", clocks.wall - 1)  # never accepted, but who knows
    assert not store.check_and_store("b", clocks.wall + 2 * SECOND - 1)  # nor this, from a clock ahead of ours
    assert store.check_and_store("b", clocks.wall + 2 * SECOND)
    store.close()
    store = clocks.store(path)  # and the floor outlives the next restart
    assert not store.check_and_store("c", clocks.wall + 2 * SECOND - 1)
    store.close()


def test_a_file_that_was_taken_from_its_log(path: Path) -> None:
    """The log is kept as .bad, and what the file may have held is refused by age."""
    clocks = Clocks()
    clocks.store(path).close()
    path.unlink()
    path.with_name(path.name + "-wal").write_bytes(b"requests of before")
    store = clocks.store(path)
    assert path.with_name(path.name + "-wal.bad").read_bytes() == b"requests of before"
    assert not store.check_and_store("a", NOW)
    assert store.check_and_store("a", clocks.wall + 2 * SECOND)
    store.close()


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    """A file cut to nothing holds nothing: requests from before are refused by age."""
    clocks = Clocks()
    path.parent.mkdir()
    path.write_bytes(b"")
    store = clocks.store(path)
    assert not store.check_and_store("a", NOW - 1)
    assert store.check_and_store("a", NOW)
    store.close()


def test_a_table_of_another_shape_is_set_aside(path: Path) -> None:
    """A healthy SQLite file that is not ours is not written into."""
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE seen (something TEXT)")
    db.close()
    store = Clocks().store(path)
    assert store.check_and_store("a", NOW + 2 * SECOND)
    assert path.with_name(path.name + ".bad").exists()
    store.close()


def test_damage_while_it_is_open(path: Path) -> None:
    """A file that breaks under a running worker is set aside then, and the worker goes on behind a new floor."""
    clocks = Clocks()
    store = clocks.store(path)
    assert store.check_and_store("a", NOW)
    other = clocks.store(path)
    clocks.pass_time(5)
    for suffix in ("", "-wal"):
        part = path.with_name(path.name + suffix)
        part.write_bytes(b"\xff" * max(8192, part.stat().st_size))
    late = clocks.wall + 1
    assert [store.check_and_store("a", NOW), other.check_and_store("a", NOW)] == [False, False]
    # One worker may still take this from its cache before the other sees the damage: never both.
    assert [store.check_and_store("b", late), other.check_and_store("b", late)].count(True) <= 1
    clocks.pass_time(3)
    late = clocks.wall
    assert [store.check_and_store("b", late), other.check_and_store("b", late)] == [True, False]
    assert path.with_name(path.name + ".bad").exists()
    store.close()
    other.close()


def test_a_file_that_is_deleted_under_a_worker(path: Path) -> None:
    """Deleting the file opens no door: a new one begins, and requests from before are refused."""
    clocks = Clocks()
    store, other = clocks.store(path), clocks.store(path)
    assert store.check_and_store("a", NOW)
    clocks.pass_time(1)
    for part in path.parent.glob(path.name + "*"):
        part.unlink()
    assert not store.check_and_store("a", NOW)
    assert not store.check_and_store("a", clocks.wall)
    clocks.pass_time(2)
    assert store.check_and_store("a", clocks.wall)
    assert not other.check_and_store("a", clocks.wall)
    store.close()
    other.close()


def test_a_folder_it_may_not_write(tmp_path: Path) -> None:
    """Where nothing can be kept, nothing is accepted: StateError that names the file."""
    (tmp_path / "state").write_text("a file, not a folder")
    with pytest.raises(StateError, match="nonces"):
        SqliteNonceStore(tmp_path / "state" / "nonces.sqlite")


def test_a_lock_that_lasts(path: Path) -> None:
    """While another program holds the file, nothing is accepted, and nothing is set aside."""
    clocks = Clocks()
    store = clocks.store(path)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateError, match="locked"):
        store.check_and_store("a", NOW)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert store.check_and_store("a", NOW)
    assert not path.with_name(path.name + ".bad").exists()
    store.close()


def test_rows_are_dropped_after_their_time(path: Path) -> None:
    """The file does not grow: rows go once they are older than the retention."""
    clocks = Clocks()
    store = clocks.store(path, retention=60.0)
    for _ in range(1000):
        clocks.pass_time(1)
        assert store.check_and_store("a", clocks.wall)
    store.close()
    with sqlite3.connect(path) as db:
        (rows,) = db.execute("SELECT count(*) FROM seen").fetchone()
    db.close()
    assert 60 <= rows <= 70


def test_a_wall_clock_that_jumps(path: Path) -> None:
    """Neither a jump ahead nor the jump back frees a nonce while its request could pass as fresh again."""
    clocks = Clocks()
    store = clocks.store(path)
    assert store.check_and_store("a", clocks.wall)
    accepted = clocks.wall
    clocks.wall += 86_400 * SECOND
    clocks.pass_time(600)
    assert store.check_and_store("a", clocks.wall)
    clocks.wall = accepted
    assert not store.check_and_store("a", accepted)
    store.close()


def test_a_reboot_refuses_what_came_before_it(path: Path) -> None:
    """After a power cut the last commits may be missing, so nothing older than the boot is accepted."""
    clocks = Clocks()
    store = clocks.store(path)
    assert store.check_and_store("a", NOW)
    store.close()
    clocks.wall += 30 * SECOND
    clocks.monotonic = 4 * SECOND  # the machine has been up for four seconds
    store = clocks.store(path)
    boot = clocks.wall - clocks.monotonic
    assert not store.check_and_store("never seen", boot - 1)
    assert store.check_and_store("never seen", boot + 1)
    store.close()


@pytest.mark.parametrize("ahead", [60.0, 3600.0, 86_400.0])
def test_a_first_start_with_a_clock_ahead(path: Path, ahead: float) -> None:
    """A file begun in a future that never was refuses nobody once the clock is right, in this process or the next."""
    clocks = Clocks()
    clocks.wall += int(ahead * SECOND)
    store = clocks.store(path)
    clocks.wall -= int(ahead * SECOND)
    assert store.check_and_store("a", clocks.wall)
    store.close()
    for _ in range(3):
        store = clocks.store(path)
        assert not store.check_and_store("a", NOW)
        clocks.pass_time(1)
        assert store.check_and_store("a", clocks.wall)
        store.close()


def test_a_start_after_boot_with_a_clock_ahead(path: Path) -> None:
    """The same for an old file, opened a minute after a boot with the clock ahead and mended while the store is open."""
    clocks = Clocks()
    clocks.store(path).close()
    clocks.pass_time(1000)
    clocks.monotonic = 60 * SECOND
    clocks.wall += 3600 * SECOND
    store = clocks.store(path)
    clocks.wall -= 3600 * SECOND
    assert store.check_and_store("a", clocks.wall)
    assert not store.check_and_store("a", clocks.wall)
    store.close()


def test_a_clock_ahead_by_seconds_costs_seconds_and_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the floor still guards something it holds, for as long as the clock was ahead, and the log names the fix."""
    clocks = Clocks()
    clocks.wall += 8 * SECOND
    store = clocks.store(path)
    clocks.wall -= 8 * SECOND
    assert not store.check_and_store("a", clocks.wall)
    assert "clock was ahead" in caplog.text
    assert "assay doctor" in caplog.text
    clocks.pass_time(8)
    assert store.check_and_store("a", clocks.wall)
    store.close()


def test_closing_twice_and_asking_again(path: Path) -> None:
    """close() is only letting go: the next question opens the file again."""
    clocks = Clocks()
    store = clocks.store(path)
    assert store.check_and_store("a", NOW)
    store.close()
    store.close()
    assert not store.check_and_store("a", NOW)
    store.close()


def test_it_is_fast_enough_for_a_fan_out(path: Path) -> None:
    """A check is far below a signature's cost times ten: 256 of them take well under 0.2 s on a busy machine."""
    store = SqliteNonceStore(path)
    began = time.process_time()
    for _ in range(256):
        store.check_and_store("a", time.time_ns())
    assert time.process_time() - began < 0.2
    store.close()
