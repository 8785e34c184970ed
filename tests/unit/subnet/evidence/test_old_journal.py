"""Journals that older versions wrote: they replay, and say what they said then."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from subnet.evidence.journal import Journal
from subnet.evidence.records import replay
from subnet.evidence.state import StateStore


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
    assert done.history == StateStore(opened).state.history
    assert max(s.score for s in done.history.standings.values()) == pytest.approx(0.7068, abs=5e-5)
    opened.close()
