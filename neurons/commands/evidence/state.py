"""`assay state`: everything of a stopped validator that must survive, as one file, and back."""

from __future__ import annotations

import hashlib
import json as jsonlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cyclopts import App

from neurons.commands.evidence.archive import BESIDE, FORMAT, Contents, pack, unpack
from neurons.settings import Json
from subnet.errors import SettingsError, StateError
from subnet.evidence.entries.entry import Entry
from subnet.files import private_folder, write_atomically

if TYPE_CHECKING:
    from subnet.evidence.records import RulesRecord

state = App(name="state", help="Move a stopped validator's state to another machine.")

LEDGER: Final = "ledger.db"


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
    from subnet.evidence.journal import Journal
    from subnet.evidence.reader import LIVE

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
            netuid, hotkey = (rules.netuid, rules.hotkey) if rules else (None, None)
            contents = Contents(
                format=FORMAT, entries=journal.length, tip=journal.tip, files=files, netuid=netuid, hotkey=hotkey
            )
            archive = Path(name) / "archive"
            pack(copy, contents, archive)
            archive.chmod(0o600)
            archive.rename(out)
    except OSError as error:
        raise StateError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        journal.close()
    line = f"{journal.length:,} entries and {len(files)} files in {out}; never run both copies"
    print(jsonlib.dumps({"entries": contents.entries, "tip": contents.tip}) if json else line)


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
    from subnet.evidence.reader import LIVE, JournalReader
    from subnet.evidence.state import check_whole

    if not archive.is_file():
        raise SettingsError(f"ARCHIVE {archive} is not a file")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"FOLDER {folder} is not a new or empty folder")
    with _scratch(folder) as copy, _named(copy, archive):
        contents = unpack(archive, copy)
        with JournalReader(copy / LIVE) as reader:
            count, tip, rules = check_whole(reader), reader.tip, _rules(reader.entries())
        if (count, tip) != (contents.entries, contents.tip):
            raise StateError(f"{archive}: the journal in it is not the one that was exported")
        _check_owner(archive, contents, rules, folder)
        _check_ledger(copy / LEDGER)
    print(jsonlib.dumps({"entries": count, "tip": tip}) if json else f"{count:,} entries in {folder}, checked")


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder that becomes `folder` when all went well; otherwise nothing is left. Raises StateError."""
    parent = folder.absolute().parent
    missing = [above for above in (parent, *parent.parents) if not above.exists()]
    try:
        for above in reversed(missing):
            above.mkdir(mode=0o700)
        with TemporaryDirectory(dir=parent, prefix=".tmp-") as name:
            copy = private_folder(Path(name) / "state")
            yield copy
            copy.rename(folder)  # over an empty folder, or none
    except OSError as error:
        raise StateError(f"FOLDER {folder} cannot be made: {error.strerror or error}") from error
    finally:
        if not folder.exists():
            for above in missing:
                with suppress(OSError):
                    above.rmdir()


@contextmanager
def _named(copy: Path, archive: Path) -> Iterator[None]:
    """What is wrong with the `copy`, which nobody will find, is told of the archive."""
    try:
        yield
    except StateError as error:
        raise StateError(str(error).replace(str(copy), str(archive))) from error


def _check_ledger(path: Path) -> None:
    """Raises StateError where it is no ledger, or would run anything."""
    from subnet.evidence.reader import plain_tables

    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as db:
            if not {"item", "hotkey", "asked"} <= plain_tables(db):
                raise ValueError("it has not the tables of one")
    except (sqlite3.Error, ValueError) as error:
        raise StateError(f"{path.name} in the archive is no ledger: {error}") from error


def _rules(entries: Iterable[Entry]) -> RulesRecord | None:
    """The first rules of a journal: whose it is."""
    from subnet.evidence.records import RULES, RulesRecord, read_record

    first = next((entry for entry in entries if entry.kind == RULES), None)
    return read_record(RulesRecord, first) if first else None


def _check_owner(archive: Path, contents: Contents, rules: RulesRecord | None, folder: Path) -> None:
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


def _copy(folder: Path, copy: Path, segments: Path | None) -> None:
    from subnet.evidence.reader import LIVE, backup

    backup(folder / LIVE, copy, segments)
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.name in (LIVE, LEDGER) or path.name.endswith(BESIDE) or path.name.startswith("."):
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
