"""`assay state`: everything of a stopped validator that must survive, as one file, and back."""

from __future__ import annotations

import hashlib
import io
import json as jsonlib
import re
import sqlite3
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cyclopts import App
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurons.settings import Json
from subnet.errors import SettingsError, StateError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.lines import HASH, MAX_SEQ, first_wrong
from subnet.evidence.journal import Journal
from subnet.evidence.reader import LIVE, JournalReader, backup
from subnet.evidence.records import RULES, RulesRecord, read_record
from subnet.evidence.state import check_whole
from subnet.files import private_folder, write_atomically

state = App(name="state", help="Move a stopped validator's state to another machine.")

FORMAT: Final = "assay-state/1"
CONTENTS: Final = "state.json"  # the first file of an archive: what is in it
LEDGER: Final = "ledger.db"
MAX_CONTENTS: Final = 2**26  # bytes
LONGEST: Final = 255  # bytes of a file's name
_BESIDE = (".lock", "-wal", "-shm", "-journal")  # belong to a running process


@state.command(name="export")
def export(folder: Path, out: Path, *, segments: Path | None = None, json: Json = False) -> None:
    """Write journal, segments, ledger and secrets of a stopped validator into one file. Whoever has it has the secrets.

    Parameters
    ----------
    folder
        The validator's state folder; media that is kept for `assay publish` stays there.
    out
        A new file, such as state.tar.
    segments
        Folder of the journal's finished parts, when it is another than the one in the state folder.
    """
    if not (folder / LIVE).is_file():
        raise SettingsError(f"FOLDER {folder} has no {LIVE}; name a validator's state folder")
    if out.exists():
        raise SettingsError(f"OUT {out} is there already; name a new file")
    journal = Journal(folder / LIVE, segments)  # nobody else writes until it is closed
    try:
        with TemporaryDirectory(dir=out.absolute().parent, prefix=".tmp-") as name:
            copy = Path(name) / "state"
            _copy(folder, copy, segments)
            files = _sums(copy)
            rules = _rules(journal.entries())
            whose = {"netuid": rules.netuid, "hotkey": rules.hotkey} if rules else {}
            facts = {"format": FORMAT, "entries": journal.length, "tip": journal.tip, "files": files, **whose}
            archive = Path(name) / "archive"
            _pack(copy, facts, archive)
            archive.chmod(0o600)
            archive.rename(out)
    except OSError as error:
        raise StateError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        journal.close()
    line = f"{journal.length:,} entries and {len(files)} files in {out}; never run both copies"
    print(jsonlib.dumps({key: facts[key] for key in ("entries", "tip")}) if json else line)


@state.command(name="import")
def import_(archive: Path, folder: Path, *, json: Json = False) -> None:
    """Put what `assay state export` wrote into a new state folder, and check it.

    Parameters
    ----------
    archive
        The file that `assay state export` wrote.
    folder
        A new or empty folder; start the validator with --state FOLDER.
    """
    if not archive.is_file():
        raise SettingsError(f"ARCHIVE {archive} is not a file")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"FOLDER {folder} is not a new or empty folder")
    private_folder(folder.absolute().parent)
    with TemporaryDirectory(dir=folder.absolute().parent, prefix=".tmp-") as name:
        copy = private_folder(Path(name) / "state")
        contents = _unpack(archive, copy)
        with JournalReader(copy / LIVE) as reader:
            count, tip, rules = check_whole(reader), reader.tip, _rules(reader.entries())
        if (count, tip) != (contents.entries, contents.tip):
            raise StateError(f"{archive}: the journal in it is not the one that was exported")
        _check_owner(archive, contents, rules, folder)
        copy.rename(folder)  # over an empty folder, or none
    print(jsonlib.dumps({"entries": count, "tip": tip}) if json else f"{count:,} entries in {folder}, checked")


def _rules(entries: Iterable[Entry]) -> RulesRecord | None:
    """The first rules of a journal: whose it is."""
    first = next((entry for entry in entries if entry.kind == RULES), None)
    return read_record(RulesRecord, first) if first else None


def _check_owner(archive: Path, contents: _Contents, rules: RulesRecord | None, folder: Path) -> None:
    """Raises StateError where archive, journal and the folder's name, if it is a validator's, are not of one hotkey."""
    if rules is None:
        return
    owner = rules.netuid, rules.hotkey
    if contents.hotkey is not None and (contents.netuid, contents.hotkey) != owner:
        said = f"subnet {contents.netuid}, hotkey {contents.hotkey}"
        raise StateError(f"{archive} is said to be of {said}, its journal is of subnet {owner[0]}, hotkey {owner[1]}")
    named = re.fullmatch(r"validator-(\d+)-(\w+)", folder.absolute().name)
    if named and (int(named[1]), named[2]) != owner:
        raise SettingsError(
            f"FOLDER {folder} is of another validator: the archive is of subnet {owner[0]}, hotkey {owner[1]}; "
            f"name it validator-{owner[0]}-{owner[1]}"
        )


def _unpack(archive: Path, copy: Path) -> _Contents:
    """Write every file below `copy`; what the archive says of itself."""
    try:
        with tarfile.open(archive) as tar:
            contents = _contents(archive, tar)
            for name, data in _files(archive, tar, contents.files):
                private_folder((copy / name).parent)
                write_atomically(copy / name, data, mode=0o600)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise StateError(f"{archive} is no archive of a state, or cut off: {error}") from error
    except OSError as error:
        raise StateError(f"{archive} cannot be unpacked: {error.strerror or error}") from error
    return contents


def _copy(folder: Path, copy: Path, segments: Path | None) -> None:
    backup(folder / LIVE, copy, segments)
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.name in (LIVE, LEDGER) or path.name.endswith(_BESIDE) or path.name.startswith("."):
            continue
        write_atomically(copy / path.name, path.read_bytes(), mode=0o600)
    if (folder / LEDGER).is_file():
        try:
            with closing(sqlite3.connect(folder / LEDGER)) as ledger, closing(sqlite3.connect(":memory:")) as memory:
                ledger.backup(memory)
                write_atomically(copy / LEDGER, memory.serialize(), mode=0o600)
        except sqlite3.Error as error:
            raise StateError(f"the ledger {folder / LEDGER} cannot be read: {error}; restore a backup") from error


def _sums(copy: Path) -> dict[str, str]:
    paths = (path for path in sorted(copy.rglob("*")) if path.is_file())
    return {str(path.relative_to(copy)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _pack(copy: Path, facts: dict[str, object], archive: Path) -> None:
    with tarfile.open(archive, "w") as tar:
        data = jsonlib.dumps(facts, indent=1).encode()
        info = tarfile.TarInfo(CONTENTS)
        info.size, info.mode = len(data), 0o600
        tar.addfile(info, io.BytesIO(data))
        for name in _sums(copy):
            tar.add(copy / name, name)


class _Contents(BaseModel):
    """What an archive says of itself: the journal's length and last hash, and the sha256 of each file by its name."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    format: str
    entries: int = Field(ge=0, le=MAX_SEQ)
    tip: str = Field(pattern=HASH)
    files: dict[str, str]
    netuid: int | None = None  # as the journal's rules say; None where it names none, or an older version wrote it
    hotkey: str | None = None


def _contents(archive: Path, tar: tarfile.TarFile) -> _Contents:
    first = tar.next()
    if first is None or first.name != CONTENTS or first.size > MAX_CONTENTS:
        raise StateError(f"{archive} is no archive of a state: it does not begin with {CONTENTS}")
    try:
        contents = _Contents.model_validate_json(_data(tar, first))
    except ValidationError as error:
        raise StateError(f"{archive}: {CONTENTS} does not read: {first_wrong(error)}") from error
    if contents.format != FORMAT:
        other = contents.format[:40]
        raise StateError(f"{archive} is of the format {other}, this version reads {FORMAT}: use another version")
    wrong = [name for name in sorted(contents.files) if not _inside(name, contents.files)]
    if wrong or LIVE not in contents.files:
        names = repr(wrong[0][:LONGEST])[1:-1] if wrong else f"no {LIVE}"
        raise StateError(f"{archive} is no archive of a state: it names {names}")
    return contents


def _inside(name: str, files: Mapping[str, str]) -> bool:
    """Whether `name` is of a file in a folder, or in one below it, beside all other `files`."""
    parts = name.split("/")
    known = all(part not in ("", ".", "..") and len(part.encode()) <= LONGEST for part in parts)
    return known and name.isprintable() and len(parts) <= 2 and (len(parts) == 1 or parts[0] not in files)


def _files(archive: Path, tar: tarfile.TarFile, files: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    wanted = dict(files)
    for info in tar:
        if info.name == CONTENTS:
            continue
        if not info.isfile() or info.issparse() or info.name not in wanted:
            raise StateError(f"{archive} holds {info.name!r}, which its {CONTENTS} does not name")
        data = _data(tar, info)
        if hashlib.sha256(data).hexdigest() != wanted.pop(info.name):
            raise StateError(f"{archive}: {info.name} is damaged; nothing of it was put to work")
        yield info.name, data
    if wanted:
        raise StateError(f"{archive} is cut off: {min(wanted)} is missing")


def _data(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    return file.read() if file else b""
