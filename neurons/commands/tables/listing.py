"""`assay detectors` and `assay generators`: the two tables, for people and for machines."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from neurons.settings import Json
from neurons.terminal import terminal


def detectors(*, json: Json = False) -> None:
    """List the detectors: what they are, how large, and whether weights ship with Assay, or were fetched."""
    from detectors import TABLE
    from detectors.fetching.store import fetched

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
            "input_size": row.input_size if row.family else None,
            "published": row.published or None,
            "fetched": fetched(row) if row.files else None,
        }
        for row in TABLE.values()
    ]
    _show(rows, json, ("name", "modality", "parameters", "embedded_parameters", "summary"))


def recipes(*, json: Json = False) -> None:
    """List what the field found to work, for `assay train --recipe`: a line each, what it trains, and its source."""
    from detectors.field_recipes.table import FIELD_RECIPES

    rows = [
        {"name": row.name, "trains": row.detector, "summary": row.summary, "source": row.source}
        for row in FIELD_RECIPES.values()
    ]
    _show(rows, json, ("name", "trains", "summary"))


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
    lines = ["t2i: text to image; t2v: text to video; i2i: changes real images; reconstruct: draws real media again"]
    lines += [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    print()
    terminal().print("\n".join(lines), highlight=False, markup=False)


def _show(rows: Sequence[Mapping[str, Any]], json: bool, columns: Sequence[str]) -> None:
    if json:
        print(jsonlib.dumps(list(rows)))
        return
    console = terminal()
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    widths = _widths([[column.replace("_", " ") for column in columns], *cells], console.width)
    if widths is None:
        for first, *rest in cells:
            console.print(first, style="bold", highlight=False, markup=False)
            told = "; ".join(f"{name.replace('_', ' ')}: {cell}" for name, cell in zip(columns[1:], rest, strict=True))
            console.print(Padding(Text(told), (0, 0, 0, 2)))
        return
    table = Table(box=None, header_style="dim")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.replace("_", " "), width=width)
    for row in cells:
        table.add_row(*map(escape, row))
    console.print(table)


def _widths(cells: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Characters of each column, so that none breaks a word; None where `room` characters are too few for that."""
    columns = list(zip(*cells, strict=True))
    widths = [max(len(word) for cell in column for word in (cell.split() or [""])) for column in columns]
    spare = room - sum(widths) - 2 * len(widths)  # a space on each side
    if spare < 0:
        return None
    for index, column in enumerate(columns):
        more = min(spare, max(map(len, column)) - widths[index])
        widths[index], spare = widths[index] + more, spare - more
    return widths


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")
