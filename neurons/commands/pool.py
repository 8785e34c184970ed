"""`assay pool`: look at a pool of ready media, check it, trim it, or take it away as a data set."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.filesize import decimal
from rich.table import Table

from neurons.progress import bar
from neurons.settings import Json, PoolSettings
from neurons.terminal import terminal
from subnet.errors import SettingsError

if TYPE_CHECKING:
    from subnet.media.pool import maintenance
    from subnet.media.pool.pool import Pool

DAY, HOUR = 86_400.0, 3_600.0

pool = App(name="pool", help="Look at the pool of ready media, check it, trim it, or export it.")


@pool.command
def status(*, pool: PoolSettings = PoolSettings(), plan: Path | None = None, json: Json = False) -> None:
    """Show what lies ready by modality, label and origin, and what the disk has left.

    Parameters
    ----------
    plan
        TOML plan of the producer: shows how many items of each kind are wanted, too.
    """
    from neurons.plan import plan_of
    from subnet.media.pool import maintenance

    targets = {target.cell: target.count for target in plan_of(plan).targets} if plan is not None else None
    report = maintenance.status(_existing(pool), time.time(), targets)
    if json:
        print(jsonlib.dumps(_status_facts(report)))
        return
    table = Table("modality", "label", "origin", "items", "wanted", "size", "newest", box=None, header_style="dim")
    for cell in report.cells:
        kind = (str(cell.cell.modality), cell.cell.label.name.lower(), cell.cell.origin)
        wanted = "" if cell.target is None else f"{cell.target:,}"
        table.add_row(*kind, f"{cell.items:,}", wanted, decimal(cell.bytes), _age(cell.newest))
    room = f"{report.items:,} items, {decimal(report.bytes)} of {decimal(report.budget)}; {decimal(report.free)} free"
    rest = f"{report.quarantined} set aside as damaged, {report.temporary} being written"
    terminal().print(table, f"{report.root}: {room}; {rest}", highlight=False)


@pool.command
def verify(
    *,
    pool: PoolSettings = PoolSettings(),
    decode: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Check every item's checksum; damaged items are set aside as .bad, and then the exit status is 1.

    Parameters
    ----------
    decode
        Decode every item, too.
    """
    from subnet.media.pool import maintenance

    opened = _existing(pool)
    with bar("verify", sum(opened.levels().values())) as progress:
        report = maintenance.verify(opened, decode=decode, progress=progress)
    bad = [{"file": str(path), "reason": reason} for path, reason in report.quarantined]
    if json:
        print(jsonlib.dumps({"valid": report.valid, "quarantined": bad}))
    else:
        for row in bad:
            print(f"set aside: {row['file']}: {row['reason']}")
        print(f"{report.valid:,} items are whole, {len(bad):,} were set aside")
    sys.exit(1 if bad else 0)


@pool.command
def prune(
    *,
    pool: PoolSettings = PoolSettings(),
    keep_gigabytes: float | None = None,
    older_than_days: float | None = None,
    json: Json = False,
) -> None:
    """Delete damaged and abandoned files and, when a limit is given, the oldest items.

    Parameters
    ----------
    keep_gigabytes
        Delete the oldest items until the pool is no larger than this.
    older_than_days
        Delete items older than this.
    """
    from subnet.media.pool import maintenance
    from subnet.media.pool.pool import GIGABYTE

    for name, value in (("keep_gigabytes", keep_gigabytes), ("older_than_days", older_than_days)):
        if value is not None and not value >= 0:
            raise SettingsError(f"--{name} must be 0 or more, not {value:g}")
    keep = None if keep_gigabytes is None else int(keep_gigabytes * GIGABYTE)
    older = None if older_than_days is None else older_than_days * DAY
    report = maintenance.prune(_existing(pool), time.time(), keep_bytes=keep, older_than=older)
    if json:
        print(jsonlib.dumps({"items": report.items, "files": report.files, "bytes": report.bytes}))
    else:
        print(f"deleted {report.items:,} items and {report.files:,} other files, {decimal(report.bytes)}")


@pool.command
def export(out: Path, *, pool: PoolSettings = PoolSettings(), limit: int | None = None, json: Json = False) -> None:
    """Copy the items into a data set folder with index.jsonl, which `assay train` and `assay evaluate` read.

    Parameters
    ----------
    out
        A new or empty folder.
    limit
        Most items of each origin.
    """
    from subnet.media.pool import maintenance

    if limit is not None and limit < 1:
        raise SettingsError(f"--limit must be at least 1, not {limit}")
    try:
        report = maintenance.export(_existing(pool), out, limit=limit)
    except OSError as error:
        raise SettingsError(f"OUT {out}: {error}") from error
    if json:
        counts = {str(cell): count for cell, count in report.items.items()}
        print(jsonlib.dumps({"folder": str(report.root), "items": counts}))
    else:
        print(f"{sum(report.items.values()):,} items of {len(report.items)} kinds in {report.root}")


def _existing(settings: PoolSettings) -> Pool:
    """The pool, which must be there: looking at one does not make it."""
    if not settings.folder.is_dir():
        raise SettingsError(
            f"--pool.path {settings.folder}: there is no such folder; assay producer makes and fills one"
        )
    return settings.open()


def _status_facts(report: maintenance.PoolStatus) -> dict[str, object]:
    cells = [
        {
            "modality": str(cell.cell.modality),
            "label": cell.cell.label.name.lower(),
            "origin": cell.cell.origin,
            "items": cell.items,
            "bytes": cell.bytes,
            "target": cell.target,
            "newest_seconds": None if cell.newest is None else round(cell.newest, 1),
        }
        for cell in report.cells
    ]
    sizes = {"items": report.items, "bytes": report.bytes, "budget": report.budget, "free": report.free}
    return {
        "root": str(report.root),
        **sizes,
        "quarantined": report.quarantined,
        "temporary": report.temporary,
        "cells": cells,
    }


def _age(seconds: float | None) -> str:
    """How long ago, for people."""
    if seconds is None:
        return "never"
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{max(0.0, seconds):.0f} s ago"
