"""`assay journal` and `assay replay`: what a journal consists of, whether it is whole, a copy, its scores again."""

from __future__ import annotations

import json as jsonlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App
from rich.filesize import decimal
from rich.table import Table

from neurons.commands.evidence.workers import processes
from neurons.naming import literal, names_of
from neurons.settings import Json
from neurons.terminal import terminal
from subnet.errors import JournalBroken, SettingsError, StateError
from subnet.evidence.entries.entry import BEGINNING
from subnet.evidence.findings import Verdict, text_of, verification

if TYPE_CHECKING:
    from subnet.evidence.reader import JournalReader
    from subnet.evidence.replay import Replay

journal = App(name="journal", help="Look at a validator's journal, check its parts, copy it.")


@journal.command(name="list")
def list_parts(journal: Path, *, segments: Path | None = None, json: Json = False) -> None:
    """List the parts of a journal: finished segments, and the file that is written now.

    Parameters
    ----------
    journal
        The file journal.db of a validator, running or not.
    segments
        Folder of its finished parts; by default the one beside it.
    """
    from subnet.evidence.entries.segments import list_segments

    with open_journal(journal, segments) as reader:
        first = next((entry.seq for entry in reader.live()), 1)
        parts = [(s.first, s.last, s.path) for s in list_segments(reader.segments) if s.last < first]
        parts.append((first, reader.length, reader.path))
        sizes = [path.stat().st_size for _, _, path in parts]
    if json:
        rows = [
            {"first": first, "last": last, "file": str(path), "bytes": size}
            for (first, last, path), size in zip(parts, sizes, strict=True)
        ]
        print(jsonlib.dumps({"tip": reader.tip, "entries": reader.length, "parts": rows}))
        return
    table = Table("entries", "size", "file", box=None, header_style="dim")
    for (first, last, path), size in zip(parts, sizes, strict=True):
        table.add_row(f"{first}-{last}", decimal(size), str(path))
    terminal().print(table, f"tip {reader.tip}", highlight=False)


@journal.command
def verify(journal: Path, *, segments: Path | None = None, json: Json = False) -> None:
    """Check that every part is there and every entry follows from the one before; `assay replay` checks scores, too.

    Parameters
    ----------
    journal
        The file journal.db of a validator, running or not.
    segments
        Folder of its finished parts; by default the one beside it.
    """
    from subnet.evidence.state import check_whole

    with open_journal(journal, segments) as reader:
        count = check_whole(reader)
    text = f"{count:,} entries, each follows from the one before, and the state from the last"
    _tell({"entries": count, "tip": reader.tip}, text, json)


@journal.command
def backup(journal: Path, out: Path, *, segments: Path | None = None, json: Json = False) -> None:
    """Copy a journal, also of a running validator, with all its segments, and check the copy.

    Parameters
    ----------
    journal
        The file journal.db of a validator, running or not.
    out
        A new or empty folder.
    segments
        Folder of its finished parts; by default the one beside it.
    """
    from subnet.evidence.reader import LIVE
    from subnet.evidence.reader import backup as copy
    from subnet.evidence.state import check_whole

    open_journal(journal, segments).close()
    if out.exists() and not out.is_dir():
        raise SettingsError(f"OUT {out} is a file; name a new folder")
    known = out.exists()
    try:
        copy(journal, out, segments)
        with open_journal(out / LIVE) as copied:
            count = check_whole(copied)
    except StateError as error:
        _take_back(out, known=known)
        with open_journal(journal, segments) as source:
            check_whole(source)  # names what is damaged, where it is the source
        raise StateError(f"{error}; nothing is left of the copy") from error
    _tell({"entries": count, "folder": str(out)}, f"{count:,} entries copied to {out} and checked", json)


def _take_back(out: Path, *, known: bool) -> None:
    """Remove a copy that is not whole; the folder stays where it was there before."""
    for path in out.iterdir() if out.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not known:
        with suppress(OSError):
            out.rmdir()


def _tell(facts: dict[str, object], line: str, json: bool) -> None:
    print(jsonlib.dumps(facts) if json else line)


def replay(journal: Path, *, segments: Path | None = None, names: Path | None = None, json: Json = False) -> None:
    """Check a journal: its chain of hashes, every score to the last bit, plans, weights, and miners' signatures.

    Parameters
    ----------
    journal
        The file journal.db of a validator, running or not; nothing is written to it.
    segments
        Folder of its finished parts; by default the one beside it.
    names
        Names to show beside hotkeys: a folder of wallets, or a JSON file {hotkey: name}.
    """
    from subnet.evidence.proof.verify import Examination
    from subnet.evidence.state import check_state, confirm_state

    called = names_of(names, journal)
    with open_journal(journal, segments) as reader, processes(reader.length) as executor:
        examined = Examination(executor).run(reader.entries())
        result = examined.player.result()
        if false := sorted(f for f in examined.findings if f.verdict is Verdict.FALSE):
            text = false[0].text  # where the file itself is damaged it has both already
            raise JournalBroken(text if str(journal) in text else f"{journal}: entry {false[0].seq}: {text}")
        if result.rounds == 0:
            raise JournalBroken(
                f"{journal} holds no round, so it confirms nothing; if it is a copy, was journal.db-wal left behind? "
                "`assay journal backup` makes a whole one"
            )
        confirm_state(check_state(reader.state(), reader.last or BEGINNING, lambda: result), result)
    checked = verification([], examined.proven, examined.findings)
    if json:
        facts = {"entries": reader.length, "tip": reader.tip, "rounds": result.rounds, "void_rounds": result.void}
        scores = {hotkey: standing.score for hotkey, standing in sorted(result.history.standings.items())}
        more = {"weights": result.weights, "scores": scores, "proven": dict(checked.proven)}
        print(jsonlib.dumps({**facts, **more, "unproven": [asdict(finding) for finding in checked.unproven]}))
        return
    terminal().print(_table(result, called), f"tip {reader.tip}", highlight=False)
    terminal().print(text_of(checked), highlight=False, markup=False)


def open_journal(journal: Path, segments: Path | None = None) -> JournalReader:
    """Raises SettingsError for a path that is no file, StateError for a file that is no journal."""
    from subnet.evidence.reader import JournalReader

    if not journal.is_file():
        raise SettingsError(f"{journal} is not a file; give a validator's journal.db")
    if segments is not None and not segments.is_dir():
        raise SettingsError(f"--segments {segments}: there is no such folder")
    return JournalReader(journal, segments)


def _table(result: Replay, called: Mapping[str, str]) -> Table:
    void = f", {result.void} of them void" if result.void else ""
    title = f"{result.rounds} rounds replayed{void}, up to round {result.next_round - 1}: every score confirmed"
    table = Table("hotkey", *(["name"] if called else []), "score", box=None, title=title, title_justify="left")
    for hotkey, standing in sorted(result.history.standings.items(), key=lambda pair: -pair[1].score):
        table.add_row(literal(hotkey), *([literal(called.get(hotkey, ""))] if called else []), f"{standing.score:.6f}")
    return table
