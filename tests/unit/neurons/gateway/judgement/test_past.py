"""What a gateway reads of a validator's journal, whole, growing, or damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from neurons.gateway.judgement.past import Past
from subnet.errors import StateError
from subnet.evidence.journal import Journal
from subnet.types import Modality
from tests.unit.neurons.commands.evidence.rig import tell
from tests.unit.neurons.gateway.rig import MINERS, write_journal


def test_skills_and_scores(journal: Path) -> None:
    """From rounds of each modality; who was right is known, who lied has no say, and everybody has a score."""
    known = Past(journal, stake_limit=1000.0).refresh()
    assert {modality: skills.ballots for modality, skills in known.skills.items()} == {
        Modality.IMAGE: 40,
        Modality.VIDEO: 20,
    }
    images = known.skills[Modality.IMAGE]
    assert images[MINERS[0].ss58_address].evidence(0.99) > 1.5
    assert images[MINERS[4].ss58_address].evidence(0.99) == 0.0
    assert known.history.standings.keys() == {key.ss58_address for key in MINERS}
    assert known.stake_limit == 1000.0


def test_a_journal_grows(tmp_path: Path) -> None:
    """What is new is read, with the rules that a validator noted; nothing new costs nothing."""
    story = tell(tmp_path)
    past = Past(story.journal, stake_limit=0.0)
    known = past.refresh()
    assert past.refresh() is known
    assert known.sampling.level_weights == (1, 1, 0, 0)
    assert known.stake_limit == 1000.0
    assert known.skills[Modality.IMAGE].ballots == 17
    assert known.skills[Modality.VIDEO].ballots == 0


def test_finished_parts_are_read_too(tmp_path: Path) -> None:
    """Rounds that left the live file count, as far back as are wanted."""
    write_journal(tmp_path / "journal.db", 40)
    journal = Journal(tmp_path / "journal.db", segment_bytes=20_000)
    while journal.finish_segment():
        pass
    journal.close()
    assert list((tmp_path / "segments").iterdir())
    known = Past(tmp_path / "journal.db", stake_limit=0.0).refresh()
    assert sum(skills.ballots for skills in known.skills.values()) == 40


@pytest.mark.parametrize("keep", [0, 1000, 40_000])
def test_a_damaged_journal_is_refused_and_read_again(journal: Path, keep: int) -> None:
    """Cut off anywhere, or edited: an error of state; once it is whole again it is read again."""
    past = Past(journal, stake_limit=0.0)
    whole = journal.read_bytes()
    before = past.refresh()
    journal.write_bytes(whole[:keep])
    with pytest.raises(StateError):
        past.refresh()
    journal.unlink()
    with pytest.raises(StateError):
        past.refresh()
    journal.write_bytes(whole.replace(b'"p_synthetic":0.9', b'"p_synthetic":0.1', 1))
    with pytest.raises(StateError):
        past.refresh()
    journal.write_bytes(whole)
    assert past.refresh() == before


@pytest.mark.parametrize("harmed", ["live", "part"])
def test_files_that_were_changed_are_noticed_though_the_journal_ends_as_before(tmp_path: Path, harmed: str) -> None:
    """In the live file or a finished part; another gateway that starts says the same, and both read it once mended."""
    write_journal(tmp_path / "journal.db", 40)
    with closing(Journal(tmp_path / "journal.db", segment_bytes=20_000)) as journal:
        while journal.finish_segment():
            pass
    past = Past(tmp_path / "journal.db", stake_limit=0.0)
    before = past.refresh()
    file = tmp_path / "journal.db" if harmed == "live" else sorted((tmp_path / "segments").iterdir())[-1]
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] if harmed == "part" else whole.replace(b'"p_synthetic":0.9', b'"p_synthetic":0.1', 1))
    for one in (past, Past(tmp_path / "journal.db", stake_limit=0.0)):
        with pytest.raises(StateError):
            one.refresh()
    file.write_bytes(whole)
    assert past.refresh() == before


@pytest.mark.parametrize("parts", [True, False])
def test_a_journal_that_lost_its_entries_is_refused(tmp_path: Path, parts: bool) -> None:
    """By who read them before, and where finished parts are left also by who starts."""
    write_journal(tmp_path / "journal.db", 40)
    with closing(Journal(tmp_path / "journal.db", segment_bytes=20_000)) as journal:
        while parts and journal.finish_segment():
            pass
    past = Past(tmp_path / "journal.db", stake_limit=0.0)
    assert past.refresh().history.standings
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute("DELETE FROM entries")
        db.commit()
    for one in (past, Past(tmp_path / "journal.db", stake_limit=0.0)) if parts else (past,):
        with pytest.raises(StateError):
            one.refresh()


def test_a_journal_of_another_version_is_refused(journal: Path) -> None:
    """A newer program wrote it: told so, and not guessed at."""
    past = Past(journal, stake_limit=0.0)
    past.refresh()
    with closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match="newer Assay"):
        past.refresh()
