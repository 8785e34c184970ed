"""`assay journal`, `replay` and `explain` on journals that are written to meanwhile, copied, and damaged."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from subnet.evidence.entries.segments import list_segments
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, RoundRecord, outcomes
from subnet.evidence.state import State, StateStore
from subnet.game.history import History
from subnet.game.scoring import settle
from subnet.printing import printable
from tests.unit.neurons.running import Assay
from tests.unit.subnet.evidence.journals import play

ROUNDS = 30


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Journal]:
    """The journal of a validator that runs: locked, with finished segments."""
    journal = Journal(tmp_path / "journal.db", segment_bytes=4000)
    play(StateStore(journal), ROUNDS)
    while journal.finish_segment():
        pass
    yield journal
    journal.close()


def test_a_live_journal_is_listed_verified_and_copied(assay: Assay, live: Journal, tmp_path: Path) -> None:
    """Parts follow on each other up to the last entry; the copy has the same tip."""
    listed = assay("journal", "list", live.path, "--json").json
    spans = [(part["first"], part["last"]) for part in listed["parts"]]
    assert spans[0][0] == 1
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(spans))
    assert (spans[-1][1], len(spans)) == (ROUNDS, len(list_segments(live.segments)) + 1)
    assert assay("journal", "verify", live.path, "--json").json == {"entries": ROUNDS, "tip": live.tip}
    assert assay("journal", "backup", live.path, tmp_path / "out", "--json").json["entries"] == ROUNDS
    assert assay("journal", "verify", tmp_path / "out" / "journal.db", "--json").json["tip"] == live.tip
    again = assay("journal", "backup", live.path, tmp_path / "out")
    assert (again.status, "not empty" in again.message) == (2, True)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("fault", ["entry", "segment"])
def test_a_damaged_journal_leaves_no_copy(assay: Assay, live: Journal, tmp_path: Path, fault: str, known: bool) -> None:
    """The message names the journal, not its copy, and the folder is as it was: another try needs no cleaning up."""
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(live.segments, source / "segments")
    shutil.copy(live.path, source)
    if fault == "entry":
        with closing(sqlite3.connect(source / "journal.db")) as db, db:
            db.execute(
                "UPDATE entries SET body = replace(body, 'alice', 'alive') WHERE seq = (SELECT max(seq) FROM entries)"
            )
    else:
        segment = list_segments(source / "segments")[0].path
        segment.write_bytes(segment.read_bytes()[:-20])
    if known:
        out.mkdir()
    for _ in range(2):
        ran = assay("journal", "backup", source / "journal.db", out)
        assert (ran.status, ran.out, len(ran.err.splitlines())) == (3, "", 1)
        assert str(source) in ran.message
        assert str(out) not in ran.message
        assert out.exists() is known
        assert not known or not list(out.iterdir())


def test_a_live_journal_is_replayed_and_explained(assay: Assay, live: Journal, tmp_path: Path) -> None:
    """With names beside hotkeys where they are given, and by name."""
    (tmp_path / "names.json").write_text(json.dumps({"alice": "the careful one"}))
    replayed = assay("replay", live.path, "--names", tmp_path / "names.json")
    assert replayed.status == 0
    assert "30 rounds replayed" in replayed.out
    assert "the careful one" in replayed.out
    assert assay("replay", live.path, "--json").json["rounds"] == ROUNDS
    told = assay("explain", "the careful one", live.path, "--names", tmp_path / "names.json", "--json").json
    assert (told["hotkey"], told["name"], told["miners"]) == ("alice", "the careful one", 2)
    assert len(told["rounds"]) == 10
    assert sum(tally["asked"] for tally in told["by"]["label"].values()) == ROUNDS
    assert assay("explain", "bo", live.path).out.splitlines()[0] == "bob"


@pytest.mark.parametrize("command", [("replay",), ("explain", "alice"), ("journal", "verify"), ("journal", "list")])
@pytest.mark.parametrize("fault", ["empty", "cut", "noise", "ledger"])
def test_what_is_no_whole_journal_ends_with_status_3(
    assay: Assay, live: Journal, tmp_path: Path, command: tuple[str, ...], fault: str
) -> None:
    """One line that names the file; nothing is confirmed."""
    victim = tmp_path / "copy" / "journal.db"
    victim.parent.mkdir()
    data = live.path.read_bytes()
    victim.write_bytes({"empty": b"", "cut": data[: len(data) // 3], "noise": b"\0\xff" * 9000, "ledger": b""}[fault])
    if fault == "ledger":
        from subnet.media.pool.ledger import Ledger

        victim.unlink()
        Ledger(victim).close()
    ran = assay(*command, victim)
    assert (ran.status, ran.out) == (3, "")
    assert str(victim) in ran.message
    assert len(ran.err.splitlines()) == 1


def test_the_file_is_named_once(assay: Assay, live: Journal, tmp_path: Path) -> None:
    """An entry that was changed: replay says it as verify does."""
    victim = tmp_path / "copy" / "journal.db"
    shutil.copytree(live.segments, victim.parent / "segments")
    shutil.copy(live.path, victim)
    with closing(sqlite3.connect(victim)) as db, db:
        db.execute("UPDATE entries SET body = replace(body, 'alice', 'alive')")
    replayed, verified = assay("replay", victim), assay("journal", "verify", victim)
    assert (replayed.status, replayed.message) == (3, verified.message)
    assert replayed.message.count(str(victim)) == 1


def test_nothing_is_no_confirmation(assay: Assay, tmp_path: Path) -> None:
    """A journal without rounds, as one new or copied without its log, is told apart from one that was confirmed."""
    Journal(tmp_path / "journal.db").close()
    ran = assay("replay", tmp_path / "journal.db")
    assert (ran.status, ran.out) == (3, "")
    assert "assay journal backup" in ran.message


def test_missing_segments_are_told(assay: Assay, live: Journal, tmp_path: Path) -> None:
    """With the flag that says where they are."""
    (tmp_path / "bare").mkdir()
    shutil.copy(live.path, tmp_path / "bare" / "journal.db")
    ran = assay("replay", tmp_path / "bare" / "journal.db")
    assert (ran.status, "--segments" in ran.message) == (3, True)
    assert assay("replay", tmp_path / "bare" / "journal.db", "--segments", live.segments).status == 0
    assert assay("replay", live.path, "--segments", tmp_path / "nowhere").status == 2


@pytest.mark.parametrize("name", ["[/red]", "[bold]x", "\x1b[2J", "[link=file:///]"])
def test_names_of_strangers_are_shown_as_they_are(assay: Assay, tmp_path: Path, name: str) -> None:
    """A hotkey or an origin that reads as a command to the table, or to the terminal, is neither."""
    failed = {"p_synthetic": None, "failure": "malformed", "latency": 0, "status": None, "reason": "", "score": 0.0}
    row = {"hotkey": name, **failed, "detector": name, "weights_hash": None, "query": ""}
    plain = {"number": 0, "block": 1, "modality": "image", "label": 1, "origin": name, "level": 0, "seed": 1}
    played = RoundRecord.model_validate({**plain, "provenance": None, "void": "", "outcomes": (row,)})
    journal = Journal(tmp_path / "journal.db")
    StateStore(journal).write(ROUND, played, State(1, settle(History(), outcomes(played))))
    journal.close()
    escaped = printable(name)
    for command in (["replay", str(journal.path)], ["explain", name, str(journal.path)]):
        done = assay(*command)
        assert (done.status, done.err) == (0, "")
        assert escaped in done.out
        assert "\x1b[2J" not in done.out
