"""The stored state is bound to the journal: one that was edited, or is of another journal, is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from subnet.errors import JournalBroken
from subnet.evidence.entries.entry import GENESIS, link
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import RULES, SNAPSHOT, SnapshotRecord, read_record, rules_record
from subnet.evidence.replay import replay
from subnet.evidence.snapshots import Snapshots, rows_of
from subnet.evidence.state import State, StateStore, confirm_state
from subnet.game.history import History, begin_averages
from subnet.game.sampling import Sampling
from subnet.game.scoring import SMOOTHING
from subnet.types import Hyperparameters, Neuron, Snapshot
from tests.unit.subnet.evidence.journals import play, write_journal


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    with sqlite3.connect(path) as db:
        (value,) = db.execute("SELECT value FROM state").fetchone()
        assert change(value) != value
        db.execute("UPDATE state SET value = ?", (change(value),))
    db.close()


def better(value: bytes) -> bytes:
    score = State.parse(value).history["alice"].score
    return value.replace(str(score).encode(), b"0.999")


def later(value: bytes) -> bytes:
    return b"9" + value


def earlier(value: bytes) -> bytes:
    return b"1" + value[value.index(b"\n") :]


def nobody(value: bytes) -> bytes:
    return State(State.parse(value).next_round, History()).dump()


def noise(value: bytes) -> bytes:
    return value[:-3] + b"\xff\xff\xff"


EDITS = (better, later, earlier, nobody, noise)


@pytest.mark.parametrize("change", EDITS)
def test_an_edited_state_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """A better score, another round, a forgotten hotkey, noise: the validator does not start on it."""
    path = tmp_path / "journal.db"
    write_journal(path, 12)
    edit(path, change)
    journal = Journal(path)
    with pytest.raises(JournalBroken, match="stored state"):
        StateStore(journal)
    journal.close()


def test_every_flipped_bit_of_the_state_is_told(tmp_path: Path) -> None:
    """Wherever a bit of it flips, also where the text still reads."""
    path = tmp_path / "journal.db"
    write_journal(path, 3)
    journal = Journal(path)
    whole = journal.state()
    assert whole
    for at in range(0, len(whole), 3):
        flipped = whole[:at] + bytes([whole[at] ^ (1 << at % 7)]) + whole[at + 1 :]
        journal._db.execute("UPDATE state SET value = ?", (flipped,))
        with pytest.raises(JournalBroken):
            StateStore(journal)
    journal.close()


@pytest.mark.parametrize("change", [better, nobody, noise, earlier])
def test_a_state_of_version_0_1_0_is_held_against_a_replay(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """Its records say nothing of the state: then the rules do."""
    path = tmp_path / "journal.db"
    write_journal(path, 12)
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT seq, kind, body FROM entries ORDER BY seq").fetchall()
        before = GENESIS
        for seq, kind, body in rows:
            plain = body.replace(body[body.index('"state"') : body.index('"number"')], "")
            before = link(before, kind, plain)
            db.execute("UPDATE entries SET body = ?, hash = ? WHERE seq = ?", (plain, before, seq))
        db.execute("PRAGMA user_version = 1")
    db.close()
    journal = Journal(path)
    assert StateStore(journal).state.next_round == 12
    journal.close()
    edit(path, change)
    journal = Journal(path)
    with pytest.raises(JournalBroken):
        StateStore(journal)
    journal.close()


def test_the_state_of_another_journal_is_refused(tmp_path: Path) -> None:
    """Even one that is whole in itself."""
    write_journal(tmp_path / "one" / "journal.db", 12)
    write_journal(tmp_path / "two" / "journal.db", 11)
    with JournalReader(tmp_path / "two" / "journal.db") as other:
        stolen = other.state()
    edit(tmp_path / "one" / "journal.db", lambda _: stolen or b"")
    journal = Journal(tmp_path / "one" / "journal.db")
    with pytest.raises(JournalBroken, match="entry 12"):
        StateStore(journal)
    journal.close()


def test_a_missing_state_is_refused(tmp_path: Path) -> None:
    """Entries without a state are no new beginning."""
    write_journal(tmp_path / "journal.db", 4)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("DELETE FROM state")
    db.close()
    journal = Journal(tmp_path / "journal.db")
    with pytest.raises(JournalBroken, match="no state"):
        StateStore(journal)
    journal.close()


def test_a_state_that_was_rewritten_with_its_record_does_not_replay(tmp_path: Path) -> None:
    """Who makes digest and chain fit again is found by the rules: `assay replay` compares the state, too."""
    history = write_journal(tmp_path / "journal.db", 6)
    with JournalReader(tmp_path / "journal.db") as reader:
        done = replay(reader.entries())
        confirm_state(State(6, history), done)
        with pytest.raises(JournalBroken, match="alice"):
            confirm_state(State(6, History({**history.standings, "alice": history["bob"]})), done)
        with pytest.raises(JournalBroken, match="round 5"):
            confirm_state(State(5, history), done)


def test_rounds_go_on_after_a_restart(tmp_path: Path) -> None:
    """What was written is taken up again, the digest included, however often."""
    for start in range(4):
        journal = Journal(tmp_path / "journal.db")
        store = StateStore(journal)
        assert store.state.next_round == 3 * start
        play(store, 3)
        store.skip()
        journal.close()


def test_averages_begin_with_the_rules_that_have_them(tmp_path: Path) -> None:
    """A journal of a version without averages that a newer one goes on with: replay gives the same history."""
    journal = Journal(tmp_path / "journal.db")
    store = StateStore(journal)
    play(store, 30)
    store.state = State(store.state.next_round, begin_averages(store.state.history))  # as its bytes read now
    rules = rules_record(1, "validator", Sampling(), vpermit_tao_limit=1000.0, min_answers=24)
    assert rules.averaging == SMOOTHING.averaging > 0
    assert store.write(RULES, rules) is None
    play(store, 20)
    assert store.write(RULES, rules) is None  # again after a restart: averages go on
    play(store, 5)
    replayed = replay(journal.entries())
    assert replayed.history == store.state.history
    assert replayed.history != begin_averages(replayed.history)
    journal.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_reader_has_the_metagraph_that_an_entry_used(tmp_path: Path, seed: int) -> None:
    """Nodes that lag, forks of one height, and weights that are set on others while a round is under way."""
    rng, journal = np.random.default_rng(seed), Journal(tmp_path / "journal.db")
    store, read, done = StateStore(journal), Snapshots(), 0

    def metagraph() -> Snapshot:
        names = rng.choice(["a", "b", "c"], size=rng.integers(1, 4), replace=False)
        neurons = tuple(Neuron(uid, name, "", 0.0, permit=False, endpoint=None) for uid, name in enumerate(names))
        return Snapshot(34, int(rng.integers(10, 14)), neurons, Hyperparameters(360, 100))

    def check(used: Snapshot) -> None:
        nonlocal done
        for entry in list(journal.entries(SNAPSHOT))[done:]:
            read.add(entry, read_record(SnapshotRecord, entry))
            done += 1
        assert read.rows_at(used.block) == rows_of(used)

    for _ in range(40):
        played = metagraph()
        store.observe(played)
        check(played)
        assert read.rows == rows_of(played)
        for _ in range(rng.integers(0, 12)):
            set_on = metagraph()
            store.observe(set_on)
            check(set_on)
        store.confirm(played)
        check(played)
    before = journal.length
    store.observe(played)
    store.observe(played)
    store.confirm(played)
    assert journal.length <= before + 1
    journal.close()
