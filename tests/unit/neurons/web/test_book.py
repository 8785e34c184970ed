"""A journal that grows is followed, one that is damaged is told of, and one that is mended is read again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from neurons.web.book import Book, Unready
from neurons.web.sources import JournalFile, Published, open_source
from subnet.errors import SettingsError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from tests.unit.neurons.commands.evidence.rig import Story, published
from tests.unit.subnet.evidence.journals import play, write_journal


@dataclass(frozen=True)
class Counting(JournalFile):
    """The real file; counts entries that are read."""

    read: list[int] = field(default_factory=list)

    def behind(self, last: Entry) -> Iterator[Entry]:
        for entry in super().behind(last):
            self.read.append(entry.seq)
            yield entry


def rounds(book: Book) -> int:
    with book.open() as summary:
        return summary.player.rounds


def test_a_journal_is_read_once_and_followed(tmp_path: Path) -> None:
    """Each entry is read one time, while its validator writes on and packs old parts away."""
    journal = Journal(tmp_path / "journal.db", segment_bytes=3000)
    store = StateStore(journal)
    play(store, 5)
    source = Counting(journal.path)
    book = Book(1, source)
    for expected in (5, 5, 12, 40):
        play(store, expected - store.state.next_round)
        book.refresh()
        assert rounds(book) == expected
        journal.finish_segment()
    assert source.read == list(range(1, 41))
    journal.close()


def test_parts_that_were_packed_meanwhile_are_read_from_there(tmp_path: Path) -> None:
    """What lies between the last look and the live file is taken from the finished parts."""
    journal = Journal(tmp_path / "journal.db", segment_bytes=2000)
    store = StateStore(journal)
    play(store, 2)
    book = Book(1, JournalFile(journal.path))
    book.refresh()
    play(store, 40)
    while journal.finish_segment():
        pass
    book.refresh()
    assert rounds(book) == 42
    journal.close()


def test_before_it_is_read_nothing_is_shown(tmp_path: Path) -> None:
    """Not half of a journal as if it were all."""
    write_journal(tmp_path / "journal.db", 10)
    book = Book(1, JournalFile(tmp_path / "journal.db"))
    with pytest.raises(Unready, match=r"journal 1 is being read: 0 of 0 entries"), book.open():
        pass
    looks = iter([False, False, True])
    book.refresh(stopping=lambda: next(looks))
    with pytest.raises(Unready, match=r"3 of 10 entries"), book.open():
        pass
    book.refresh()
    assert rounds(book) == 10


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("UPDATE entries SET body = replace(body, 'alice', 'mallo') WHERE seq = 4", "entry 4 does not follow"),
        ("DELETE FROM entries WHERE seq = 4", "entry 4 does not follow"),
        ("PRAGMA user_version = 99", "was written by a newer Assay"),
        ("DROP TABLE entries", "is no journal"),
    ],
)
def test_a_damaged_journal_is_told_of_and_a_mended_one_read_again(tmp_path: Path, harm: str, told: str) -> None:
    """With the reason, without folders of this machine; and it is not read over and over meanwhile."""
    path = tmp_path / "journal.db"
    write_journal(path, 8)
    shutil.copy(path, tmp_path / "whole.db")
    with sqlite3.connect(path) as db:
        db.execute(harm)
    db.close()
    source = Counting(path)
    book = Book(1, source)
    book.refresh()
    with pytest.raises(Unready, match=told) as caught, book.open():
        pass
    assert str(tmp_path) not in str(caught.value)
    read = len(source.read)
    book.refresh()
    assert len(source.read) == read
    shutil.copy(tmp_path / "whole.db", path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 3")
    db.close()
    play_more(path)
    book.refresh()
    assert rounds(book) == 9


def play_more(path: Path) -> None:
    journal = Journal(path)
    play(StateStore(journal), 1)
    journal.close()


def test_damage_while_it_runs(tmp_path: Path) -> None:
    """A file that is cut to nothing, and comes back."""
    path = tmp_path / "journal.db"
    write_journal(path, 6)
    book = Book(1, JournalFile(path))
    book.refresh()
    whole = path.read_bytes()
    path.write_bytes(b"")
    book.refresh()
    with pytest.raises(Unready, match="empty"), book.open():
        pass
    path.write_bytes(whole)
    book.refresh()
    assert rounds(book) == 6


def test_another_journal_in_its_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A shorter one, and one of the same length."""
    path = tmp_path / "journal.db"
    write_journal(path, 9)
    book = Book(1, JournalFile(path))
    book.refresh()
    for name, count in (("shorter", 4), ("longer", 12)):
        (tmp_path / name).mkdir()
        write_journal(tmp_path / name / "journal.db", count)
        shutil.copy(tmp_path / name / "journal.db", path)
        book.refresh()
        assert rounds(book) == count


def test_scores_that_do_not_follow_are_not_shown(tmp_path: Path, story: Story) -> None:
    """A journal whose hashes hold and whose scores do not is as damaged as any."""
    from tests.unit.neurons.commands.evidence.rig import rewritten

    def favour(entry: Entry, body: dict[str, object]) -> dict[str, object]:
        if entry.kind == "setting":
            weights = body["weights"]
            assert isinstance(weights, dict)
            weights[next(iter(weights))] += 0.5
        return body

    entries = rewritten(story.entries, favour)
    depot = published(story, entries, tmp_path / "evidence", media=False)
    book = Book(1, Published(depot.address))
    book.refresh()
    with pytest.raises(Unready, match="weights of"), book.open():
        pass


def test_published_evidence_is_a_journal_too(tmp_path: Path, story: Story) -> None:
    """The same pages, up to where it is published; a longer publication is followed."""
    half = [e for e in story.entries if e.kind == "commitment"][2].seq
    depot = published(story, story.entries[:half], tmp_path / "evidence", media=False)
    source = open_source(str(tmp_path / "evidence"))
    assert isinstance(source, Published)
    book = Book(1, source)
    book.refresh()
    before = rounds(book)
    published(story, story.entries, tmp_path / "evidence", media=False)
    book.refresh()
    assert 0 < before < rounds(book) == 16
    assert book.round(3) is not None
    assert depot.manifest() is not None


def test_what_is_no_journal_is_refused_at_the_start(tmp_path: Path) -> None:
    """A path of nothing, and a folder without a journal."""
    for place in (tmp_path / "absent", tmp_path):
        with pytest.raises(SettingsError, match="JOURNAL"):
            open_source(str(place))
