"""Journals that older versions wrote: they replay, and say what they said then."""

from __future__ import annotations

import lzma
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from subnet.evidence.entries.entry import BEGINNING
from subnet.evidence.entries.segments import list_segments
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import RULES, rules_record
from subnet.evidence.replay import replay
from subnet.evidence.state import StateStore, check_state
from subnet.game.history import begin_averages
from subnet.game.sampling import Sampling
from tests.unit.subnet.evidence.journals import play


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A local network of 60 rounds with seed 7, as version 0.1.0 wrote it before its files got their rooms."""
    path = tmp_path / "journal.db"
    path.write_bytes(lzma.decompress(Path(__file__).with_name("journal-0.1.0.db.xz").read_bytes()))
    return path


def test_a_journal_of_version_0_1_0_replays(journal: Path) -> None:
    """Every score again to the last bit, and the state that was kept beside it."""
    opened = Journal(journal)
    done = replay(opened.entries())
    assert (done.rounds, done.void, done.weights, opened.length) == (60, 0, 11, 71)
    assert begin_averages(done.history) == StateStore(opened).state.history
    assert max(s.score for s in done.history.standings.values()) == pytest.approx(0.7068, abs=5e-5)
    opened.close()


def test_a_validator_goes_on_from_it(journal: Path) -> None:
    """Its state is held against a replay, its rounds move into segments, and all of it replays with the new ones."""
    opened = Journal(journal, segment_bytes=50_000)
    store = StateStore(opened)
    store.note(RULES, rules_record(34, "v", Sampling(), vpermit_tao_limit=1000.0, min_answers=24))
    play(store, 3)
    while opened.finish_segment():
        pass
    assert len(list_segments(opened.segments)) > 1
    opened.close()
    with JournalReader(journal) as reader:
        done = replay(reader.entries())
    assert (done.rounds, done.history) == (63, store.state.history)
    again = Journal(journal)
    assert StateStore(again).state == store.state
    again.close()


def test_it_is_read_without_being_upgraded(journal: Path) -> None:
    """A reader changes nothing, so the version that wrote it still opens it."""
    before = journal.read_bytes()
    with JournalReader(journal) as reader:
        assert replay(reader.entries()).rounds == 60
        state = check_state(reader.state(), reader.last or BEGINNING, lambda: replay(reader.entries()))
    assert state.next_round == 60
    assert journal.read_bytes() == before


def test_an_upgrade_leaves_a_backup_beside_it(journal: Path) -> None:
    """A whole copy with the old schema, which the version that wrote it opens; made once."""
    with closing(sqlite3.connect(journal)) as db:
        (schema,) = db.execute("PRAGMA user_version").fetchone()
    opened = Journal(journal)
    tip = opened.tip
    opened.close()
    copy = journal.with_suffix(f".schema-{schema}.db")
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema,)
        assert db.execute("SELECT hash FROM entries ORDER BY seq DESC").fetchone() == (tip,)
    copy.unlink()
    Journal(journal).close()
    assert not copy.exists()
