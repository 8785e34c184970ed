"""`assay state`: everything of a stopped validator that must survive, as one file, and back."""

from __future__ import annotations

import hashlib
import io
import json as jsonlib
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cyclopts import App

from neurons.settings import Json
from subnet.errors import SettingsError, StateError
from subnet.evidence.journal import Journal
from subnet.evidence.reader import LIVE, JournalReader, backup
from subnet.evidence.state import check_whole
from subnet.files import private_folder, write_atomically

state = App(name="state", help="Move a stopped validator's state to another machine.")

FORMAT: Final = "assay-state/1"
CONTENTS: Final = "state.json"  # the first file of an archive: what is in it
LEDGER: Final = "ledger.db"
MAX_CONTENTS: Final = 2**26  # bytes
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
            facts = {"format": FORMAT, "entries": journal.length, "tip": journal.tip, "files": files}
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
            count, tip = check_whole(reader), reader.tip
        if (count, tip) != (contents["entries"], contents["tip"]):
            raise StateError(f"{archive}: the journal in it is not the one that was exported")
        copy.rename(folder)  # over an empty folder, or none
    print(jsonlib.dumps({"entries": count, "tip": tip}) if json else f"{count:,} entries in {folder}, checked")


def _unpack(archive: Path, copy: Path) -> dict[str, object]:
    """Write every file below `copy`; what the archive says of itself."""
    try:
        with tarfile.open(archive) as tar:
            contents = _contents(archive, tar)
            for name, data in _files(archive, tar, contents["files"]):
                private_folder((copy / name).parent)
                write_atomically(copy / name, data, mode=0o600)
    except (tarfile.TarError, EOFError) as error:
        raise StateError(f"{archive} is no archive of a state, or cut off: {error}") from error
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


def _contents(archive: Path, tar: tarfile.TarFile) -> dict[str, object]:
    first = tar.next()
    if first is None or first.name != CONTENTS or first.size > MAX_CONTENTS:
        raise StateError(f"{archive} is no archive of a state: it does not begin with {CONTENTS}")
    try:
        contents = jsonlib.loads(_data(tar, first))
        known, files = contents["format"], contents["files"]
    except (ValueError, LookupError, TypeError) as error:
        raise StateError(f"{archive}: {CONTENTS} does not read: {error}") from error
    if known != FORMAT:
        raise StateError(f"{archive} is of the format {known}, this version reads {FORMAT}: use another version")
    wrong = [
        name for name in files if Path(name).is_absolute() or ".." in Path(name).parts or len(Path(name).parts) > 2
    ]
    if wrong or LIVE not in files:
        raise StateError(f"{archive} is no archive of a state: it names {wrong[0] if wrong else f'no {LIVE}'}")
    return dict(contents)


def _files(archive: Path, tar: tarfile.TarFile, files: object) -> Iterator[tuple[str, bytes]]:
    wanted = dict(files) if isinstance(files, dict) else {}
    for info in tar:
        if info.name == CONTENTS:
            continue
        if not info.isfile() or info.name not in wanted:
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
