"""`assay journal`: what a journal consists of, whether it is whole, and a true copy of it."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path

from cyclopts import App
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from neurons.commands.replay import open_journal
from neurons.settings import Json
from subnet.errors import SettingsError
from subnet.evidence.reader import backup as copy
from subnet.evidence.segments import list_segments

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
    Console().print(table, f"tip {reader.tip}", highlight=False)


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
    with open_journal(journal, segments) as reader:
        count = sum(1 for _ in reader.entries())
    _tell({"entries": count, "tip": reader.tip}, f"{count:,} entries, each follows from the one before", json)


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
    open_journal(journal, segments).close()
    if out.exists() and not out.is_dir():
        raise SettingsError(f"OUT {out} is a file; name a new folder")
    count = copy(journal, out, segments)
    _tell({"entries": count, "folder": str(out)}, f"{count:,} entries copied to {out} and checked", json)


def _tell(facts: dict[str, object], line: str, json: bool) -> None:
    print(jsonlib.dumps(facts) if json else line)
