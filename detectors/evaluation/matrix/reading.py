"""Reads matrices, also those of others: `item`, `detector`, `p` and `label` are needed, all other columns are not.

Without `view` all answers are at level 0, without `cluster` every item stands for itself, without `outcome` every row
is an answer. Whatever makes no sense is told with the file, the row and the column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.dataset.contents import numbers_of
from detectors.dataset.cuts import REFUSED, UNREADABLE
from detectors.evaluation.frame_order import FORMS, Orders
from detectors.evaluation.matrix.table import ANSWERED, BLANK, METADATA, TYPES
from detectors.evaluation.summary import Answers, Findings
from subnet.errors import DataError
from subnet.types import Label

NEEDED = ("item", "detector", "p", "label")
OUTCOMES = (ANSWERED, UNREADABLE, REFUSED)
MOST = 20_000_000  # rows of a file, which take some 4 GB of memory
_VIEW = re.compile(rf"(?:level )?(\d{{1,3}})(?: ({BLANK}|{'|'.join(FORMS)}))?")
Columns = Mapping[str, list[Any]]
Place = tuple[str, int, int]  # item, label, level


@dataclass(frozen=True, eq=False)
class Judged:
    """One detector's part of a matrix. `items` (N,) names what each of `answers` is about.

    `blank` are answers to all the same with black pixels, `orders` to some with their frames in another order.
    """

    about: Findings
    items: NDArray[np.str_]
    answers: Answers
    blank: Answers | None
    orders: Orders | None
    outcomes: tuple[str, ...]  # of what has no answer


def read_matrix(path: Path) -> list[Judged]:
    """Every detector of the file, in the order of first appearance. Raises DataError."""
    columns, metadata = _columns(path)
    _check(path, columns)
    names = list(dict.fromkeys(columns["detector"]))
    rows: dict[str, list[int]] = {name: [] for name in names}
    for row, name in enumerate(columns["detector"]):
        rows[name].append(row)
    about = {"data": path.name, "seed": 0, "modality": "", "weights_hash": "", **metadata}
    return [_judged(path, {**about, "detector": name}, columns, rows[name]) for name in names]


def _columns(path: Path) -> tuple[Columns, Findings]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MOST:
                raise DataError(f"{path}: {file.metadata.num_rows:,} rows, at most {MOST:,} are read; give parts of it")
            names = file.schema_arrow.names
            lacking = [name for name in NEEDED if name not in names]
            if lacking:
                raise DataError(f"{path}: the column {lacking[0]} is missing; needed are {', '.join(NEEDED)}")
            table = file.read(columns=[name for name in names if name in TYPES])
        return {name: _values(path, name, table[name]) for name in table.column_names}, _metadata(path, table)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as a matrix: {reason}; give a parquet file") from error


def _values(path: Path, name: str, column: Any) -> list[Any]:
    import pyarrow as pa

    if name in ("cluster", "view"):  # of others: any names
        return list(column.to_pylist())
    try:
        return list(column.cast(TYPES[name]).to_pylist())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{path}: the column {name} is {column.type}, not {TYPES[name]}") from error


def _metadata(path: Path, table: Any) -> Findings:
    """What the file says for all rows; nothing where it is not ours."""
    kept = (table.schema.metadata or {}).get(METADATA)
    if kept is None:
        return {}
    try:
        found = json.loads(kept)
        return {
            "data": str(found["data"]),
            "seed": max(0, int(found["seed"])),
            "modality": str(found["modality"]),
            "weights_hash": str(found["weights_hash"]),
            **({"exam": True} if found.get("exam") is True else {}),
        }
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: its metadata below {METADATA.decode()!r} is damaged: {error}") from error


def _check(path: Path, columns: Columns) -> None:
    """Raises DataError for the first row that makes no sense."""
    count = len(columns["item"])
    if not count:
        raise DataError(f"{path}: no rows; give a matrix with answers")
    outcomes = columns.get("outcome", [ANSWERED] * count)
    rows = zip(columns["item"], columns["detector"], columns["p"], columns["label"], outcomes, strict=True)
    for row, (item, detector, p, label, outcome) in enumerate(rows):
        where = f"{path}, row {row}"
        if not item or not detector:
            raise DataError(f"{where}: {'detector' if item else 'item'} is empty; give it a name")
        if label not in tuple(Label):
            raise DataError(f"{where}: label is {label}, not 0 (real) or 1 (synthetic)")
        if outcome not in OUTCOMES:
            raise DataError(f"{where}: outcome is {outcome}; choose from {', '.join(OUTCOMES)}")
        if outcome == ANSWERED and (p is None or not 0 <= p <= 1):
            raise DataError(f"{where}: p of {item} is {p}, not a probability; what has no answer says why in outcome")


def _judged(path: Path, about: Findings, columns: Columns, rows: Sequence[int]) -> Judged:
    outcomes = columns.get("outcome")
    given = [row for row in rows if outcomes is None or outcomes[row] == ANSWERED]
    by_form: dict[str, list[int]] = {"": []}
    levels: dict[int, int] = {}
    for row in given:
        level, form = _view(path, row, columns["view"][row]) if "view" in columns else (0, "")
        levels[row] = level
        by_form.setdefault(form, []).append(row)
    places = {
        form: [(columns["item"][row], columns["label"][row], levels[row]) for row in chosen]
        for form, chosen in by_form.items()
    }
    what = f"{path}: {about['detector']}"
    if not places[""]:
        raise DataError(f"{what} has no answers to items as they are; give a matrix with some")
    _check_places(what, places)
    if {label for _, label, _ in places[""]} != ({Label.REAL} if about.get("exam") else set(Label)):
        raise DataError(f"{what} has answers to items of one class only; both are needed")
    found = {form: _answers(columns, chosen, [levels[row] for row in chosen]) for form, chosen in by_form.items()}
    plain = found.pop("")
    about = {**about, "levels": list(dict.fromkeys(plain.level.tolist()))}
    names = np.array([item for item, _, _ in places[""]])
    lost = () if outcomes is None else tuple(outcomes[row] for row in rows if outcomes[row] != ANSWERED)
    return Judged(about, names, plain, found.get(BLANK), _orders(places, found), lost)


def _check_places(what: str, places: Mapping[str, list[Place]]) -> None:
    """Raises DataError where forms are not of the same items: of all when blank, of the same ones in every order."""
    moved = [asked for form, asked in places.items() if form in FORMS]
    some = set(moved[0]) if moved else set()
    for form, asked in places.items():
        if len({(item, level) for item, _, level in asked}) < len(asked):
            raise DataError(f"{what} has two answers to one item in one view; keep one")
        if asked != [place for place in places[""] if form not in FORMS or place in some]:
            raise DataError(f"{what} was asked about other items with pictures {form} than as they are; keep all rows")
    if moved and {label for _, label, _ in some} != set(Label):
        raise DataError(f"{what} has answers to clips in another order of one class only; both are needed")


def _orders(places: Mapping[str, list[Place]], found: Mapping[str, Answers]) -> Orders | None:
    moved = {form: found[form].p for form in FORMS if form in found}
    if not moved:
        return None
    some = set(places[next(iter(moved))])
    return Orders(np.array([place in some for place in places[""]]), moved)


def _view(path: Path, row: int, view: object) -> tuple[int, str]:
    """Level and form."""
    found = _VIEW.fullmatch(str(view))
    if not found:
        raise DataError(f"{path}, row {row}: view is {view!r}; write the level, as in 'level 2' or 'level 2 {BLANK}'")
    return int(found[1]), found[2] or ""


def _answers(columns: Columns, rows: Sequence[int], levels: Sequence[int]) -> Answers:
    def column(name: str, missing: Sequence[Any]) -> list[Any]:
        return [columns[name][row] for row in rows] if name in columns else list(missing)

    labels, zeros = column("label", ()), [0] * len(rows)
    origins = column("origin", [Label(label).name.lower() for label in labels])
    by_label = [origin if label == Label.REAL else "" for origin, label in zip(origins, labels, strict=True)]
    return Answers(
        np.array(column("p", ()), dtype=np.float64),
        np.array(labels, dtype=np.int64),
        np.array(levels, dtype=np.int64),
        numbers_of(column("cluster", column("item", ()))),
        np.array([origin or "" for origin in origins], dtype=np.str_),
        np.array([source or "" for source in column("source", by_label)], dtype=np.str_),
        np.array([size or 0 for size in column("size", zeros)], dtype=np.int64),
        np.array([count or 0 for count in column("stored", zeros)], dtype=np.int64),
    )
