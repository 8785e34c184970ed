"""The control of every table: what always answering "synthetic" comes to, and which rows do no better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.evaluation.summary import Answers
from detectors.studies.report import Cell, Table

CONTROL = "always synthetic"
CHANCE: Cell = {"value": 0.5, "low": 0.5, "high": 0.5}  # balanced accuracy and AUC of it, whatever the items


def always_synthetic(given: Answers) -> Answers:
    """The same items, each called synthetic for sure."""
    return replace(given, p=np.ones_like(given.p))


def against(table: Table, controls: Mapping[str, Sequence[Cell]], compared: Sequence[str]) -> Table:
    """`table` with rows of cells for CONTROL, and a note that names rows not above them in the columns `compared`.

    `controls` are by the end of the names of the rows that they stand beside; "" is that of all rows.
    """
    places = [table.columns.index(name) for name in compared]
    below = {
        name: [table.columns[place] for place in places if _not_above(cells[place], control[place])]
        for name, cells in table.rows.items()
        for end, control in controls.items()
        if name.endswith(end)
    }
    several = len(places) > 1
    listed = [f"{name} ({', '.join(each)})" if several else name for name, each in below.items() if each]
    what = "" if len(places) == len(table.columns) else f" in {' and '.join(compared)}"
    remark = f"Not above {CONTROL}{what}: {'; '.join(listed) or 'none'}."
    added = {f"{CONTROL}: {end}" if end else CONTROL: cells for end, cells in controls.items()}
    return replace(table, rows={**table.rows, **added}, note=f"{table.note} {remark}".strip())


def _not_above(cell: Cell, control: Cell) -> bool:
    one, other = (each["value"] if isinstance(each, Mapping) else each for each in (cell, control))
    return isinstance(one, float) and isinstance(other, float) and one <= other
