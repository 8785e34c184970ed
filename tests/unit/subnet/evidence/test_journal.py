"""The journal and the state that follows from it: nothing acknowledged is lost, nothing changed goes unnoticed."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import JournalBroken, SettingsError, StateError
from subnet.evidence.explain import account
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import DEPARTED, ROUND, DepartedRecord, Record, RoundRecord, record
from subnet.evidence.replay import replay
from subnet.evidence.state import PATIENCE, State, StateStore
from subnet.game.history import History
from subnet.types import Answer, Failure, Label, Modality, Prediction
from tests.unit.subnet.evidence.journals import played, write_journal

ANSWERS = st.one_of(st.floats(0, 1).map(Prediction), st.sampled_from(Failure))
ROUNDS = st.lists(
    st.tuples(
        st.sampled_from(Modality), st.sampled_from(Label), st.dictionaries(st.sampled_from("abc"), ANSWERS, min_size=1)
    ),
    max_size=12,
)


class Fact(Record):
    number: int


@given(ROUNDS)
def test_replay_gives_every_score_again_to_the_last_bit(
    quick: Path, rounds: list[tuple[Modality, Label, dict[str, Answer]]]
) -> None:
    """Playing the recorded outcomes through the rules ends in the very history that the validator had."""
    journal = Journal(Path(tempfile.mkdtemp(dir=quick)) / "journal.db")
    memory = StateStore(journal)
    for number, (modality, label, answers) in enumerate(rounds):
        one = played(memory.state.history, number, modality, label, answers)
        assert memory.write(ROUND, record(one), State(number + 1, one.history)) is None
    assert replay(journal.entries()).history == memory.state.history
    assert StateStore(journal).state == memory.state
    journal.close()


@given(ROUNDS)
def test_an_account_counts_every_round_once(
    quick: Path, rounds: list[tuple[Modality, Label, dict[str, Answer]]]
) -> None:
    """Whatever it is broken down by, tallies add up to what the history says, and failures are never right."""
    journal = Journal(Path(tempfile.mkdtemp(dir=quick)) / "journal.db")
    memory = StateStore(journal)
    for number, (modality, label, answers) in enumerate(rounds):
        one = played(memory.state.history, number, modality, label, answers)
        memory.write(ROUND, record(one), State(number + 1, one.history))
    standings = memory.state.history.standings
    for hotkey, standing in standings.items():
        found = account(journal.entries(), hotkey)
        assert found.score.value == standing.score
        assert len(found.turns) == standing.asked
        for kinds in found.by.values():
            assert sum(tally.asked for tally in kinds.values()) == standing.asked
            assert sum(tally.failed for tally in kinds.values()) == sum(standing.failures.values())
            assert all(tally.right + tally.failed <= tally.asked for tally in kinds.values())
        right = sum(window.length - window.wrong.bit_count() for window in (standing.image, standing.video))
        assert sum(turn.right for turn in found.turns) == right
    journal.close()


def test_an_account_begins_when_the_hotkey_came(tmp_path: Path) -> None:
    """Who left and came again starts anew; letters that fit nobody, or several, are told apart."""
    journal = Journal(tmp_path / "journal.db")
    history = History()
    for number in range(3):
        if number == 2:
            journal.append(DEPARTED, DepartedRecord(block=9, hotkeys=("abc",)).model_dump_json())
            history = History()
        one = played(history, number, Modality.IMAGE, Label.REAL, {"abc": Prediction(0.1)})
        journal.append(ROUND, record(one).model_dump_json())
        history = one.history
    assert [turn.number for turn in account(journal.entries(), "ab").turns] == [2]
    two = played(history, 3, Modality.IMAGE, Label.REAL, {"abd": Prediction(0.1)})
    journal.append(ROUND, record(two).model_dump_json())
    with pytest.raises(SettingsError, match="2 addresses begin like that"):
        account(journal.entries(), "ab")
    with pytest.raises(SettingsError, match="no rounds of it"):
        account(journal.entries(), "x")
    journal.close()


def test_a_changed_score_is_found(tmp_path: Path) -> None:
    """A record whose score does not follow from the rules breaks the replay, even with a hash chain made to fit."""
    journal = Journal(tmp_path / "journal.db")
    one = played(History(), 0, Modality.IMAGE, Label.REAL, {"a": Prediction(0.1), "b": Failure.TIMEOUT})
    body = record(one).model_dump_json().replace(f'"score":{one.history["a"].score}', '"score":0.9')
    journal.append(ROUND, body)
    with pytest.raises(JournalBroken, match=r"score 0\.9"):
        replay(journal.entries())
    journal.close()


@pytest.mark.parametrize(
    "change", ["UPDATE entries SET body = '{}' WHERE seq = 2", "DELETE FROM entries WHERE seq = 2"]
)
def test_a_changed_or_missing_entry_breaks_the_chain(tmp_path: Path, change: str) -> None:
    """Whoever edits the file is found out at the entry that was touched: when a validator starts, and by any reader."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    for number in range(4):
        journal.append("fact", Fact(number=number).model_dump_json())
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()
    with pytest.raises(JournalBroken, match="entry 2"):
        Journal(path)
    with JournalReader(path) as reader, pytest.raises(JournalBroken, match="entry 2"):
        list(reader.entries())


def test_a_second_process_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    """One validator per state folder; the message names who holds it."""
    journal = Journal(tmp_path / "journal.db")
    code = (
        "import sys; from pathlib import Path; from subnet.evidence.journal import Journal; Journal(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "journal.db")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"in use by the process {os.getpid()}" in done.stderr
    journal.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """Garbage is an error with the path, not an empty journal."""
    (tmp_path / "journal.db").write_bytes(b"not a database at all, not even close" * 100)
    with pytest.raises(StateError, match=r"journal\.db"):
        Journal(tmp_path / "journal.db")


@pytest.mark.parametrize("at", range(1, 8))
def test_a_page_of_nonsense_is_refused_in_one_line(tmp_path: Path, at: int) -> None:
    """Whichever page of the file was hit: StateError with the path and the fix, and the file stays as it is."""
    path = tmp_path / "journal.db"
    write_journal(path, 30)
    damaged = bytearray(path.read_bytes())
    for byte in range(4096 * at, min(4096 * at + 3000, len(damaged))):
        damaged[byte] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(StateError, match=r"journal\.db.*restore a backup"):
        StateStore(Journal(path))
    assert path.read_bytes()[4096 * at :] == damaged[4096 * at :]


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_no_journal_is_begun_beside_the_log_of_another(tmp_path: Path, suffix: str) -> None:
    """Only the file was moved away: its log is named, nothing new is made, and both stay as they were."""
    path = tmp_path / "journal.db"
    Journal(path).close()
    log = path.with_name(path.name + suffix)
    log.write_bytes(b"rounds of before")
    path.rename(tmp_path / "moved.db")
    with pytest.raises(StateError, match=rf"journal\.db is missing, but journal\.db{suffix} of it is there: put"):
        Journal(path)
    assert (path.exists(), log.read_bytes()) == (False, b"rounds of before")
    log.unlink()
    Journal(path).close()


def test_a_journal_that_is_damaged_while_it_is_played_on(tmp_path: Path) -> None:
    """A write that meets a broken page says so and to restore a backup, time after time; nothing is taken for written."""
    path = tmp_path / "journal.db"
    write_journal(path, 30)
    journal = Journal(path)
    length = journal.length
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(4096 * page)
            file.write(b"\xff" * 4096)
    journal._db.execute("PRAGMA shrink_memory")
    for _ in range(2):
        with pytest.raises(StateError, match="cannot write to the journal .*malformed; restore a backup"):
            journal.append("fact", "{}")
    assert journal.length == length
    journal.close()


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    """A downgrade does not write into what it does not understand."""
    Journal(tmp_path / "journal.db").close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StateError, match="newer"):
        Journal(tmp_path / "journal.db")


WRITER = """
import sys
from pathlib import Path
from subnet.evidence.journal import Journal
journal = Journal(Path(sys.argv[1]))
while True:
    entry = journal.append("fact", '{"n": %d}' % journal.length, b"state %d" % (journal.length + 1))
    print(entry.seq, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After kill -9 at ten moments, every acknowledged entry is there, whole, with the state that belongs to the last."""
    path = tmp_path / "journal.db"
    for moment in range(10):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        acknowledged = [int(process.stdout.readline()) for _ in range(3 + 7 * moment)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1] if line.strip()]
        process.wait()
        process.stdout.close()
        journal = Journal(path)
        entries = list(journal.entries())
        assert len(entries) == journal.length >= acknowledged[-1]
        assert journal.state() == b"state %d" % journal.length
        journal.close()


@pytest.mark.parametrize("moment", range(1, 9))
def test_kill_9_between_any_two_statements(tmp_path: Path, moment: int) -> None:
    """An entry and the state behind it are on disk together, or neither is."""
    path = tmp_path / "journal.db"
    with contextlib.closing(Journal(path)) as journal:
        journal.append("fact", '{"n": 0}', b"state 1")
    if (child := os.fork()) == 0:
        try:
            _append_until(Journal(path), moment)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with contextlib.closing(Journal(path)) as journal:
        assert journal.length in (1, 2, 3)
        assert journal.state() == b"state %d" % journal.length


def _append_until(journal: Journal, moment: int) -> None:
    """Die as SQLite is about to begin its statement number `moment`."""
    statements = itertools.count(1)

    def look(_statement: str) -> None:
        if next(statements) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    journal._db.set_trace_callback(look)
    while True:
        journal.append("fact", '{"n": 1}', b"state %d" % (journal.length + 1))


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Facts that the disk refuses are kept and written once it gives room; after too many, weights are blocked."""
    journal = Journal(tmp_path / "journal.db")
    journal._db.execute("PRAGMA max_page_count=1")  # SQLite's own way to refuse growth: SQLITE_FULL
    memory = StateStore(journal)
    big = "x" * 5000
    for number in range(PATIENCE):
        assert isinstance(memory.write("fact", Named(number=number, name=big), State(number + 1)), StateError)
    assert memory.blocked
    assert memory.state.next_round == PATIENCE
    journal._db.execute("PRAGMA max_page_count=1000000")
    assert memory.write("fact", Named(number=PATIENCE, name=big), State(PATIENCE + 1)) is None
    assert not memory.blocked
    assert journal.length == PATIENCE + 1
    assert State.parse(journal.state() or b"").next_round == PATIENCE + 1
    journal.close()


class Named(Fact):
    name: str


def test_records_read_back_as_written() -> None:
    """A round survives its JSON, the failure kinds and the provenance included."""
    one = record(
        played(History(), 3, Modality.VIDEO, Label.SYNTHETIC, {"a": Prediction(1 / 3), "b": Failure.OUT_OF_RANGE})
    )
    assert RoundRecord.model_validate_json(one.model_dump_json()) == one
