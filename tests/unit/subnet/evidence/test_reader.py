"""Reading a journal: live or stopped, never changing it, and saying when it is not whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from subnet.errors import JournalBroken, SettingsError, StateError
from subnet.evidence.entries.entry import GENESIS
from subnet.evidence.entries.segments import list_segments
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader, backup
from subnet.evidence.replay import replay
from subnet.evidence.state import StateStore, check_whole
from tests.unit.subnet.evidence.journals import play, write_journal

SEGMENT = 4000  # bytes of text: some four rounds


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_live_journal_is_read_as_it_stood(tmp_path: Path) -> None:
    """Entries that are written, and segments that are finished, while it is read do not show; the writer never waits."""
    journal = Journal(tmp_path / "journal.db", segment_bytes=SEGMENT)
    store = StateStore(journal)
    play(store, 20)
    assert journal.finish_segment()
    before = store.state.history
    with JournalReader(tmp_path / "journal.db") as reader:
        assert (reader.length, reader.tip) == (20, journal.tip)
        entries = reader.entries()
        first = next(entries)
        play(store, 20)
        while journal.finish_segment():
            pass
        done = replay([first, *entries])
        assert (done.rounds, done.history) == (20, before)
    with JournalReader(tmp_path / "journal.db") as reader:
        assert replay(reader.entries()).history == store.state.history
    journal.close()


def test_reading_a_stopped_journal_changes_no_file(tmp_path: Path) -> None:
    """No lock, no log, no table is made: neither beside it nor in it."""
    history = write_journal(tmp_path / "journal.db", 30, segment_bytes=SEGMENT)
    before = files(tmp_path)
    with JournalReader(tmp_path / "journal.db") as reader:
        assert replay(reader.entries()).history == history
        assert reader.state()
    assert files(tmp_path) == before


@pytest.mark.parametrize("rounds", [1, 7, 120])
def test_a_bare_copy_of_the_running_file_is_whole(tmp_path: Path, rounds: int) -> None:
    """What was appended is in the file itself, so `cp journal.db` without its log loses nothing."""
    journal = Journal(tmp_path / "journal.db")
    store = StateStore(journal)
    play(store, rounds)
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "journal.db", tmp_path / "copy" / "journal.db")
    with JournalReader(tmp_path / "copy" / "journal.db") as reader:
        assert (reader.length, reader.tip) == (rounds, journal.tip)
        assert replay(reader.entries()).history == store.state.history
    journal.close()


@pytest.mark.parametrize("live", [True, False], ids=["live", "stopped"])
def test_a_backup_is_the_same_journal(tmp_path: Path, live: bool) -> None:
    """With its segments and its state; a validator goes on from it. Other users cannot read it."""
    journal = Journal(tmp_path / "here" / "journal.db", segment_bytes=SEGMENT)
    store = StateStore(journal)
    play(store, 40)
    while journal.finish_segment():
        pass
    tip = journal.tip
    if not live:
        journal.close()
    backup(tmp_path / "here" / "journal.db", tmp_path / "there")
    with JournalReader(tmp_path / "there" / "journal.db") as copy:
        assert check_whole(copy) == 40
    if live:
        journal.close()
    assert all(stat.S_IMODE(p.stat().st_mode) & 0o077 == 0 for p in (tmp_path / "there").rglob("*"))
    copied = Journal(tmp_path / "there" / "journal.db", segment_bytes=SEGMENT)
    assert copied.tip == tip
    assert StateStore(copied).state == store.state
    play(StateStore(copied), 3)
    assert replay(copied.entries()).rounds == 43
    copied.close()


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    """A folder with something in it is refused, and so is a damaged journal, by name."""
    write_journal(tmp_path / "journal.db", 5)
    with pytest.raises(SettingsError, match="not empty"):
        backup(tmp_path / "journal.db", tmp_path)
    with pytest.raises(StateError, match="cannot be written"):
        backup(tmp_path / "journal.db", tmp_path / "journal.db" / "below a file")


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Flip a bit in the text of an answer, as a failing disk would."""
    data = path.read_bytes()
    at = data.index(b'"latency"') + 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def drop_segment(path: Path) -> None:
    list_segments(path.parent / "segments")[1].path.unlink()


def drop_segments(path: Path) -> None:
    shutil.rmtree(path.parent / "segments")


def cut_segment(path: Path) -> None:
    victim = list_segments(path.parent / "segments")[0].path
    victim.write_bytes(victim.read_bytes()[:-40])


def rename_segment(path: Path) -> None:
    first, second, *_ = list_segments(path.parent / "segments")
    first.path.write_bytes(second.path.read_bytes())


def drop_entries(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM entries")
    db.close()


DAMAGES = (
    *(cut_to_nothing, cut_in_half, flip),
    *(drop_segment, drop_segments, cut_segment, rename_segment, drop_entries),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_any_part_is_told(tmp_path: Path, damage: object) -> None:
    """Empty, truncated, flipped, or a part missing: each is JournalBroken with the file, never fewer rounds in silence."""
    path = tmp_path / "journal.db"
    write_journal(path, 40, segment_bytes=SEGMENT)
    assert len(list_segments(tmp_path / "segments")) > 2
    damage(path)  # type: ignore[operator]
    with pytest.raises(JournalBroken, match=str(tmp_path)), JournalReader(path) as reader:
        list(reader.entries())


@pytest.mark.parametrize("damage", [cut_to_nothing, cut_in_half, flip, drop_segments, drop_entries])
def test_a_validator_does_not_start_on_damage(tmp_path: Path, damage: object) -> None:
    """It goes on only from a whole live file, and the segment before it; the lock is let go."""
    path = tmp_path / "journal.db"
    write_journal(path, 40, segment_bytes=SEGMENT)
    whole = path.read_bytes()
    damage(path)  # type: ignore[operator]
    with pytest.raises(StateError, match=str(tmp_path)):
        StateStore(Journal(path))
    if damage is not drop_segments:
        path.write_bytes(whole)
        Journal(path).close()


def test_a_file_that_went_missing_is_told(tmp_path: Path) -> None:
    """Where segments lie, no new journal is begun beside them."""
    write_journal(tmp_path / "journal.db", 40, segment_bytes=SEGMENT)
    (tmp_path / "journal.db").unlink()
    with pytest.raises(StateError, match="is missing"):
        Journal(tmp_path / "journal.db")


def test_other_databases_are_no_journals(tmp_path: Path) -> None:
    """A ledger is refused by name, and no table is added to it."""
    from subnet.media.pool.ledger import Ledger

    Ledger(tmp_path / "ledger.db").close()
    before = (tmp_path / "ledger.db").read_bytes()
    for opener in (JournalReader, Journal):
        with pytest.raises(StateError, match="is no journal"):
            opener(tmp_path / "ledger.db")
    assert (tmp_path / "ledger.db").read_bytes()[100:] == before[100:]  # the header counts changes of the mode


def test_segments_may_lie_elsewhere(tmp_path: Path) -> None:
    """They are found where the setting says, and missed by name where it does not."""
    path = tmp_path / "journal.db"
    write_journal(path, 40, segment_bytes=SEGMENT)
    (tmp_path / "segments").rename(tmp_path / "cold")
    with JournalReader(path, tmp_path / "cold") as reader:
        assert replay(reader.entries()).rounds == 40
    with JournalReader(path) as reader, pytest.raises(JournalBroken, match=r"segments.*--segments"):
        list(reader.entries())
    Journal(path, tmp_path / "cold").close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_journal_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    """From a folder without write permission, by another user: a read-only disk is no obstacle."""
    write_journal(tmp_path / "journal.db", 5)
    shared = Path("/tmp") / f"assay-test-{os.getpid()}"
    shutil.copytree(tmp_path, shared)
    try:
        for path in (shared, *shared.iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)
        code = (
            "import os, sys; from pathlib import Path; from subnet.evidence.reader import JournalReader as R\n"
            "os.setuid(65534)\nprint(sum(1 for _ in R(Path(sys.argv[1])).entries()))"
        )
        command = [sys.executable, "-c", code, str(shared / "journal.db")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout == "5\n", done.stderr
    finally:
        shutil.rmtree(shared)


def test_an_empty_journal_has_no_tip(tmp_path: Path) -> None:
    """A new one is whole, with no entries."""
    Journal(tmp_path / "journal.db").close()
    with JournalReader(tmp_path / "journal.db") as reader:
        assert (reader.length, reader.tip, reader.state(), list(reader.entries())) == (0, GENESIS, None, [])


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)",
        "UPDATE state SET seq = seq - 1",
        "UPDATE state SET seq = seq + 1",
        "UPDATE state SET seq = 'abc'",
        "UPDATE state SET value = substr(value, 1, length(value) - 3)",
        "DELETE FROM state",
        "DELETE FROM entries",
    ],
)
def test_a_state_belongs_to_the_last_entry(tmp_path: Path, edit: str) -> None:
    """A journal cut behind its state's back, and a state moved, cut or taken out, is not whole."""
    path = tmp_path / "journal.db"
    write_journal(path, 6)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(edit)
    with JournalReader(path) as reader, pytest.raises(JournalBroken):
        check_whole(reader)
