"""`assay detectors` and `assay generators`: the two tables, for people and for machines."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neurons.settings import Json


def detectors(*, json: Json = False) -> None:
    """List the detectors: what they are, how large, and whether weights ship with Assay."""
    from detectors import TABLE

    rows = [
        {
            "name": row.name,
            "modality": row.modality.value,
            "parameters": row.parameters,
            "tensors": row.tensors,
            "embedded_parameters": row.embedded_parameters,
            "weights_sha256": row.sha256 or None,
            "licence": row.licence,
            "summary": row.summary,
        }
        for row in TABLE.values()
    ]
    _show(rows, json, ("name", "modality", "parameters", "embedded_parameters", "summary"))


def generators(*, json: Json = False) -> None:
    """List the generators, what each needs, and whether this machine can run it."""
    from generators import TABLE
    from generators.capability import listing, probe

    rows = listing(TABLE.values(), probe())
    if json:
        print(jsonlib.dumps([row.to_json() for row in rows]))
        return
    told = [
        {"name": row.name, "task": row.task, "gpu_GB": f"{row.vram_gb:g}" if row.vram_gb else "none",
         "licence": row.licence, "runs_here": row.runnable_here}
        for row in rows
    ]  # fmt: skip
    _show(told, False, ("name", "task", "gpu_GB", "licence", "runs_here"))
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            reasons.setdefault(row.reason, []).append(row.name)
    print("\nt2i: text to image; t2v: text to video; i2i: changes real images; reconstruct: draws real media again")
    for reason, names in reasons.items():
        print(f"{', '.join(names)}: {reason}")


def _show(rows: Sequence[Mapping[str, Any]], json: bool, columns: Sequence[str]) -> None:
    if json:
        print(jsonlib.dumps(list(rows)))
        return
    table = Table(box=None, header_style="dim")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=column in ("name", "task"))
    for row in rows:
        table.add_row(*(escape(_cell(row[column])) for column in columns))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")
