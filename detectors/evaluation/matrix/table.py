"""The file of a matrix: a row for each item in each view, and one for each item that was selected and has no answer.

Columns: `item`, `view` ("level 2", "level 2 blank"), `detector`, `p`, `label` (0 real, 1 synthetic), `origin`,
`cluster` (equal for what shows the same content), `source`, `size` (the shorter side in pixels), `stored` (bytes),
`outcome` (answered, unreadable, refused) and `reason`. What holds for all rows lies in the file's metadata below
`assay`, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.dataset.cuts import key_of
from detectors.evaluation.evaluation import Evaluation, LeftOut
from detectors.evaluation.summary import Answers
from subnet.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "matrix.parquet"
METADATA = b"assay"
ABOUT = ("data", "seed", "modality", "weights_hash", "exam")  # `exam`, where it is one: reals alone
ANSWERED = "answered"
BLANK = "blank"
TYPES: Mapping[str, str] = {
    "item": "string",
    "view": "string",
    "detector": "string",
    "p": "double",
    "label": "int64",
    "origin": "string",
    "cluster": "int64",
    "source": "string",
    "size": "int64",
    "stored": "int64",
    "outcome": "string",
    "reason": "string",
}


def view_name(level: int, form: str = "") -> str:
    """What the column `view` says: the level, and in which form the item was shown, "" for as it is."""
    return f"level {level} {form}".strip()


def table_of(evaluation: Evaluation) -> pa.Table:
    """All answers of one detector: to items as they are, blank, and with their frames in another order."""
    import pyarrow as pa

    name, root = evaluation.findings["detector"], evaluation.task.root
    times = len(evaluation.task.levels)
    items = [key for record in evaluation.records for key in [key_of(record, root)] * times]
    blank = {} if evaluation.null is None else {BLANK: evaluation.null}
    parts = [_answered(items, given, form, name) for form, given in {"": evaluation.answers, **blank}.items()]
    if orders := evaluation.orders:
        clips = [item for item, asked in zip(items, orders.asked, strict=True) if asked]
        few = evaluation.answers.where(orders.asked)
        parts += [_answered(clips, replace(few, p=p), form, name) for form, p in orders.p.items()]
    parts.append(_left_out(evaluation.left_out, name))
    columns = {column: [value for part in parts for value in part[column]] for column in TYPES}
    about = {key: evaluation.findings[key] for key in ABOUT if key in evaluation.findings}
    schema = pa.schema(list(TYPES.items()), metadata={METADATA: json.dumps(about).encode()})
    return pa.table(columns, schema=schema)


def _answered(items: Sequence[str], given: Answers, form: str, detector: str) -> dict[str, Sequence[Any]]:
    count = len(items)
    return {
        "item": items,
        "view": [view_name(level, form) for level in given.level.tolist()],
        "detector": [detector] * count,
        "p": given.p.tolist(),
        "label": given.y.tolist(),
        "origin": given.origin.tolist(),
        "cluster": given.cluster.tolist(),
        "source": given.source.tolist(),
        "size": given.size.tolist(),
        "stored": given.stored.tolist(),
        "outcome": [ANSWERED] * count,
        "reason": [""] * count,
    }


def _left_out(given: Sequence[LeftOut], detector: str) -> dict[str, Sequence[Any]]:
    rows = [
        {
            "item": each.key,
            "detector": detector,
            "label": int(each.record.label),
            "origin": each.record.origin,
            "outcome": each.outcome,
            "reason": each.reason,
        }
        for each in given
    ]
    return {column: [row.get(column) for row in rows] for column in TYPES}


def write_matrix(evaluation: Evaluation, path: Path) -> None:
    """Write the matrix of one detector to `path`, in the place of an older one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table_of(evaluation), sink)
    write_atomically(path, sink.getvalue().to_pybytes())
