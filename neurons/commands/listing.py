"""`assay detectors` and `assay generators`: the two tables, for people and for machines."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
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

    rows = [row.to_json() for row in listing(TABLE.values(), probe())]
    _show(rows, json, ("name", "task", "vram_gb", "licence", "runnable_here", "reason"))


def _show(rows: Sequence[Mapping[str, Any]], json: bool, columns: Sequence[str]) -> None:
    if json:
        print(jsonlib.dumps(list(rows)))
        return
    table = Table(box=None, header_style="dim")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=column == "name")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")
