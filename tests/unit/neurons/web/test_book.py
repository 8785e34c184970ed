"""A journal that grows is followed, one that is damaged is told of, and one that is mended is read again."""

from __future__ import annotations

import hashlib
import random
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from neurons.web.book import Book, Unready
from neurons.web.pages import html
from neurons.web.site import Site
from neurons.web.sources import JournalFile, Published, open_source
from subnet.errors import SettingsError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, WEIGHTS, WeightsRecord, record
from subnet.evidence.state import State, StateStore
from subnet.types import Answer, Label, Modality, Prediction, Submission
from tests.unit.neurons.commands.evidence.rig import Story, published
from tests.unit.subnet.evidence.journals import play, played, write_journal


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
    with pytest.raises(Unready, match=r"journal 1 is being read: nothing so far"), book.open():
        pass
    looks = iter([False, False, True])
    book.refresh(stopping=lambda: next(looks))
    with pytest.raises(Unready, match=r"3 of 10 entries"), book.open():
        pass
    book.refresh()
    assert rounds(book) == 10


def play_twins(store: StateStore, rounds: int) -> None:
    """So many rounds of two miners by one model among others, and weights behind them: they may be shown."""
    first = store.state.next_round
    for number in range(first, first + rounds):
        rng = random.Random(number)
        label, twin = Label(rng.randrange(2)), rng.random()
        answers: dict[str, Answer] = {f"other{n}": Prediction(0.5 * rng.random() + 0.5 * label) for n in range(6)}
        answers |= {"one": Prediction(twin), "two": Prediction(twin)}
        one = played(store.state.history, number, Modality.IMAGE, label, answers)
        assert store.write(ROUND, record(one), State(number + 1, one.history)) is None
    weights = WeightsRecord(block=first + rounds, weights={}, submission=Submission.OK, code=None, message="")
    assert store.write(WEIGHTS, weights, store.state) is None


def test_who_answers_alike_is_told_as_soon_as_it_shows(tmp_path: Path) -> None:
    """A journal that was opened at its first round names twins by the same rounds as one that is opened later."""
    journal = Journal(tmp_path / "journal.db")
    store = StateStore(journal)
    play_twins(store, 1)
    book = Book(1, JournalFile(journal.path))
    book.refresh()
    page = Site((book,), {}).page("1/miner/one")
    assert page.facts["likeness"]["partners"] == 0
    assert "Not compared yet" in html(page)
    for played_rounds in (16, 40):
        play_twins(store, played_rounds)
        book.refresh()
        late = Book(1, JournalFile(journal.path))
        late.refresh()
        found = Site((book,), {}).page("1/miner/one")
        assert found.facts["likeness"] == Site((late,), {}).page("1/miner/one").facts["likeness"]
        assert found.facts["likeness"]["partners"] == 7
    assert [link["hotkey"] for link in found.facts["likeness"]["links"]] == ["two"]
    assert "It was compared with 7 miners" in html(found)
    journal.close()


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


def edited(db: Path, seq: int) -> None:
    with sqlite3.connect(db) as rows:
        rows.execute("UPDATE entries SET body = replace(body, '0.', '1.') WHERE seq = ?", (seq,))
    rows.close()


def packed_journal(folder: Path, count: int = 40) -> Path:
    """With some finished parts; the path of its live file."""
    journal = Journal(folder / "journal.db", segment_bytes=3000)
    play(StateStore(journal), count)
    while journal.finish_segment():
        pass
    journal.close()
    return folder / "journal.db"


def edit_first(path: Path) -> None:
    with sqlite3.connect(path) as rows:
        (seq,) = rows.execute("SELECT min(seq) FROM entries").fetchone()
    rows.close()
    edited(path, seq)


def edit_middle(path: Path) -> None:
    with sqlite3.connect(path) as rows:
        (seq,) = rows.execute("SELECT (min(seq) + max(seq)) / 2 FROM entries").fetchone()
    rows.close()
    edited(path, seq)


def replace_whole(path: Path) -> None:
    shutil.copy(path, path.with_name("other.db"))
    edit_middle(path.with_name("other.db"))
    path.with_name("other.db").replace(path)


def replace_and_grow(path: Path) -> None:
    play_more(path)
    replace_whole(path)


def copy_over(path: Path) -> None:
    shutil.copy(path, path.with_name("other.db"))
    edit_middle(path.with_name("other.db"))
    shutil.copyfile(path.with_name("other.db"), path)


def spoil_part(path: Path) -> None:
    part = sorted((path.parent / "segments").iterdir())[1]
    part.write_bytes(part.read_bytes()[:-20])


def swap_part(path: Path) -> None:
    one, two = sorted((path.parent / "segments").iterdir())[1:3]
    shutil.copyfile(two, path.with_name("new"))
    path.with_name("new").replace(one)


def lose_part(path: Path) -> None:
    sorted((path.parent / "segments").iterdir())[0].unlink()


@pytest.mark.parametrize(
    "harm",
    [edit_first, edit_middle, replace_whole, replace_and_grow, copy_over, spoil_part, swap_part, lose_part],
)
def test_a_site_that_runs_says_what_one_that_starts_says(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Of files that were changed or put in place of others, though the last entry is the same; mended, it is shown."""
    path = packed_journal(tmp_path / "here")
    whole = shutil.copytree(tmp_path / "here", tmp_path / "whole")
    book = Book(1, JournalFile(path))
    book.refresh()
    version, shown = book.version, rounds(book)
    harm(path)
    book.refresh()
    fresh = Book(1, JournalFile(path))
    fresh.refresh()
    assert fresh.fault
    assert book.fault == fresh.fault
    assert book.version > version
    shutil.rmtree(path.parent)
    shutil.copytree(whole, path.parent)
    book.refresh()
    assert rounds(book) == shown


def test_a_file_that_was_only_touched_is_not_read_again(tmp_path: Path) -> None:
    """A copy in its place, a part that was packed, the validator's start and end: pages stay as they were drawn."""
    path = packed_journal(tmp_path)
    source = Counting(path)
    book = Book(1, source)
    book.refresh()
    version, read = book.version, len(source.read)
    shutil.copy(path, tmp_path / "other.db")
    (tmp_path / "other.db").replace(path)
    book.refresh()
    journal = Journal(path, segment_bytes=500)
    book.refresh()
    while journal.finish_segment():
        book.refresh()
    journal.close()
    book.refresh()
    assert (book.fault, book.version, len(source.read)) == ("", version, read)


@pytest.mark.parametrize("swap", [False, True])
def test_published_parts_that_were_changed_are_noticed(tmp_path: Path, story: Story, swap: bool) -> None:
    """A part's file on this disk, and a manifest that lists another part in its place."""
    published(story, story.entries, tmp_path / "evidence", media=False)
    book = Book(1, Published(str(tmp_path / "evidence")))
    book.refresh()
    assert rounds(book) == 16
    manifest = tmp_path / "evidence" / "manifest.json"
    part = sorted((tmp_path / "evidence" / "entries").iterdir())[0]
    if swap:
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        manifest.write_text(manifest.read_text().replace(digest, "0" * 64))
    else:
        part.write_bytes(part.read_bytes()[:-1] + b"x")
    book.refresh()
    assert "is not the file that the manifest lists" in book.fault


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


def test_of_what_cannot_be_reached_the_address_is_told(tmp_path: Path, story: Story) -> None:
    """An address elsewhere as it is, whatever it ends with; of a folder here only its name."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/evidence"
        for end in ("", "/"):
            book = Book(1, Published(f"{address}{end}"))
            book.refresh()
            assert book.fault.startswith(f"cannot reach {address}: Cannot connect")
    published(story, story.entries, tmp_path / "evidence", media=False)
    book = Book(1, Published(f"{tmp_path}/evidence/"))
    (tmp_path / "evidence" / "manifest.json").unlink()
    book.refresh()
    assert book.fault == "evidence has no manifest.json: nothing is published there"


def test_what_is_no_journal_is_refused_at_the_start(tmp_path: Path) -> None:
    """A path of nothing, and a folder without a journal."""
    for place in (tmp_path / "absent", tmp_path):
        with pytest.raises(SettingsError, match="JOURNAL"):
            open_source(str(place))
