"""Archives of a state that were made to hurt whoever imports them: refused by name, at a bounded cost, nothing left."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from neurons.commands.evidence.archive import MAX_FILES
from neurons.commands.evidence.state import export, import_
from subnet.errors import StateError
from subnet.evidence.entries.entry import GENESIS, link
from subnet.evidence.entries.segments import FOLDER
from tests.unit.subnet.evidence.journals import write_journal

ZERO = "0" * 64
Members = list[tuple[tarfile.TarInfo, bytes]]


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def contents(files: dict[str, str]) -> tuple[tarfile.TarInfo, bytes]:
    plain = {"format": "assay-state/1", "entries": 1, "tip": ZERO, "files": files}
    return member("state.json", json.dumps(plain).encode())


def archived(folder: Path, members: Members, mode: str = "w", **how: object) -> Path:
    with tarfile.open(folder / "evil.tar", mode, **how) as tar:  # type: ignore[call-overload]
        for info, data in members:
            tar.addfile(info, io.BytesIO(data) if data else None)
    return folder / "evil.tar"


def refused(archive: Path, why: str) -> None:
    """By a message, and without a file or folder more than before, above the new folder or in it."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(StateError, match=why):
        import_(archive, archive.parent / "above" / "new")
    assert sorted(archive.parent.rglob("*")) == before


FILES = {"journal.db": ZERO, "x": hashlib.sha256(b"x").hexdigest()}
WRONG: dict[str, tuple[Members, str]] = {
    "symbolic link": ([member("x", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "'x', a symbolic link"),
    "hard link": ([member("x", type=tarfile.LNKTYPE, linkname="journal.db")], "'x', a hard link"),
    "device": ([member("x", type=tarfile.CHRTYPE, devmajor=1, devminor=5)], "'x', a device"),
    "pipe": ([member("x", type=tarfile.FIFOTYPE)], "'x', a device"),
    "folder": ([member("x", type=tarfile.DIRTYPE)], "'x', a folder"),
    "twice": ([member("x", b"x"), member("x", b"x")], "'x' twice"),
    "not named": ([member("y", b"x")], r"'y', which its state\.json does not name"),
    "not named, and outside": ([member("../y", b"x")], r"'\.\./y', which its state\.json does not name"),
    "another contents": ([member("state.json", b"{}")], r"'state\.json', which its state\.json does not name"),
    "missing": ([member("x", b"x")], r"journal\.db is missing"),
    "headers": ([member("x", b"x", pax_headers={"comment": "y" * 2**20})], "headers take more than"),
    "a size below 0": ([member("x", size=-512)], "no archive of a state"),
    "sparse": ([member("x", b"x" * 512, pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"})], "with holes"),
    "a size of another": ([member("x", b"x", pax_headers={"size": "999999999999"})], "cut off"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_member_that_no_state_has(tmp_path: Path, name: str) -> None:
    """Links, devices, members that come twice or are not listed, and headers that lie."""
    members, why = WRONG[name]
    refused(archived(tmp_path, [contents(FILES), *members]), why)


@pytest.mark.parametrize("name", ["journal.db-wal", "ledger.db-journal", "journal.lock", "state.json", "a/b/c", "/x"])
def test_a_name_that_no_state_has(tmp_path: Path, name: str) -> None:
    """What belongs to a running process would be put to work by SQLite: it rolls a journal back into the file."""
    refused(archived(tmp_path, [contents({**FILES, name: ZERO})]), f"it names {name}")


def test_too_many_files(tmp_path: Path) -> None:
    """More than any state has in years."""
    refused(archived(tmp_path, [contents({f"{n}": "" for n in range(MAX_FILES + 1)})]), "files: Dictionary should have")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_an_archive_is_not_compressed(tmp_path: Path, mode: str) -> None:
    """`assay state export` writes none that is, and a small one may hold anything."""
    refused(archived(tmp_path, [contents(FILES), member("x", bytes(2**20))], mode), "no archive of a state")


def test_an_archive_that_does_not_fit(tmp_path: Path) -> None:
    """More bytes than the disk has free, as holes of a file: nothing is begun."""
    archived(tmp_path, [contents(FILES)])
    with (tmp_path / "evil.tar").open("r+b") as file:
        file.truncate(2**43)
    refused(tmp_path / "evil.tar", "make room")


def repacked(folder: Path, change: Callable[[Path], object]) -> Path:
    """A true state in which files were changed, and an archive that names what they became."""
    write_journal(folder / "state" / "journal.db", 40, segment_bytes=4000)
    export(folder / "state", folder / "state.tar")
    with tarfile.open(folder / "state.tar") as tar:
        tar.extractall(folder / "copy", filter="data")
    change(folder / "copy")
    said = json.loads((folder / "copy" / "state.json").read_text())
    said["files"] = {
        str(path.relative_to(folder / "copy")): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "copy").rglob("*"))
        if path.is_file() and path.name != "state.json"
    }
    files = [member(name, (folder / "copy" / name).read_bytes()) for name in said["files"]]
    return archived(folder, [member("state.json", json.dumps(said).encode()), *files])


def first_segment(copy: Path) -> Path:
    return min((copy / FOLDER).iterdir())


BOMBS = {
    "one line": (bz2.compress(b"x" * 2**24) * 256, "bytes of text"),  # 4 GiB
    "line feeds": (bz2.compress(b"\n" * 2**24) * 256, "a line is no entry"),
    "after an entry": (
        bz2.compress(json.dumps([1, "a", '{"a":"' + "x" * 2**20 + '"}', ZERO]).encode() + b"\n") * 4096,
        "does not follow",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_a_segment(tmp_path: Path, name: str) -> None:
    """Gigabytes in some kilobytes: read until the first thing that is wrong."""
    data, why = BOMBS[name]
    refused(repacked(tmp_path, lambda copy: first_segment(copy).write_bytes(data)), why)


def growing(copy: Path) -> None:
    """A segment of entries that follow, whose text is far more than its bytes."""
    body, previous, lines = '{"a":"' + "x" * 2**18 + '"}', GENESIS, []
    for seq in range(1, 13):
        previous = link(previous, "fact", body)
        lines.append(json.dumps([seq, "fact", body, previous]).encode() + b"\n")
    first_segment(copy).write_bytes(bz2.compress(b"".join(lines)))


def test_a_segment_that_grows_too_much(tmp_path: Path) -> None:
    """Time is bounded by the bytes that came: no text is a hundred times what it is compressed to."""
    refused(repacked(tmp_path, growing), "bytes of text")


def run(statement: str, name: str = "journal.db") -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        with closing(sqlite3.connect(copy / name)) as db:
            db.executescript(statement)

    return change


LAST = "(SELECT max(seq) FROM entries)"
DATABASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a view": (run("CREATE VIEW v AS SELECT 1"), "the view 'v'"),
    "a trigger": (run("CREATE TRIGGER t INSERT ON entries BEGIN DELETE FROM state; END"), "the trigger 't'"),
    "a view for entries": (
        run("ALTER TABLE entries RENAME TO e; CREATE VIEW entries AS SELECT * FROM e"),
        "the view 'entries'",
    ),
    "a generated column": (
        run("ALTER TABLE entries ADD COLUMN more TEXT AS (hex(zeroblob(500000000)))"),
        "the generated column 'more'",
    ),
    "a virtual table": (run("CREATE VIRTUAL TABLE f USING fts5(a)"), "the table 'f'"),
    "a body of bytes": (run(f"UPDATE entries SET body = CAST(body AS BLOB) WHERE seq = {LAST}"), "a row is no entry"),
    "a kind of bytes": (run(f"UPDATE entries SET kind = x'00' WHERE seq = {LAST}"), "a row is no entry"),
    "a number below 1": (run(f"UPDATE entries SET seq = -5 WHERE seq = {LAST}"), "a row is no entry: 0"),
    "a body that is no object": (run(f"UPDATE entries SET body = '[]' WHERE seq = {LAST}"), "is no JSON object"),
    "a long body": (run(f"UPDATE entries SET body = hex(zeroblob(3000000)) WHERE seq = {LAST}"), "is longer than"),
    "a huge body": (run(f"UPDATE entries SET body = zeroblob(50000000) WHERE seq = {LAST}"), "too big"),
    "a huge state": (run("UPDATE state SET value = zeroblob(50000000)"), "too big"),
    "a ledger that is none": (run("CREATE TABLE a (b)", "ledger.db"), r"ledger\.db in the archive is no ledger"),
}


@pytest.mark.parametrize("name", DATABASES)
def test_a_database_that_nothing_of_ours_makes(tmp_path: Path, name: str) -> None:
    """Rows pass the door of all foreign entries; what SQLite would compute is refused before it does."""
    change, why = DATABASES[name]
    refused(repacked(tmp_path, change), why)


MEASURE = """
import resource, sys
from pathlib import Path
from neurons.commands.evidence.state import import_
from subnet.errors import StateError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    import_(Path(sys.argv[1]), Path(sys.argv[1]).parent / "new")
except StateError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


def test_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    """4 GiB of text in a segment: some megabytes more than the program itself."""
    data, _ = BOMBS["one line"]
    archive = repacked(tmp_path, lambda copy: first_segment(copy).write_bytes(data))
    told = subprocess.run([sys.executable, "-c", MEASURE, str(archive)], capture_output=True, text=True, check=True)
    kilobytes, _, why = told.stdout.partition(" ")
    assert f"{archive}/segments/" in why
    assert "bytes of text" in why
    assert int(kilobytes) < 48 * 1024
