"""Opinions as a parquet file: a row for what each detector said of each picture, in the order they were asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detectors.claims.sitting import Opinion
from subnet.types import Label

SCHEMA = pa.schema(
    [
        ("detector", pa.string()),
        ("label", pa.int8()),
        ("kind", pa.string()),
        ("content", pa.int64()),
        ("p_synthetic", pa.float64()),
        ("fineness", pa.float64()),
        ("views", pa.int32()),  # rows of the features, null where there are none
        ("features", pa.list_(pa.float32())),
    ]
)
Opinions = Mapping[str, Sequence[Opinion]]  # by detector


def write(path: Path, given: Opinions) -> None:
    """All opinions on one set."""
    rows = [
        {
            "detector": name,
            "label": int(each.label),
            "kind": each.kind,
            "content": each.content,
            "p_synthetic": each.p_synthetic,
            "fineness": each.fineness,
            "views": None if each.features is None else len(each.features),
            "features": None if each.features is None else each.features.ravel(),
        }
        for name, opinions in given.items()
        for each in opinions
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, compression="zstd")


def read(path: Path) -> dict[str, list[Opinion]]:
    """The same; raises pyarrow's errors for what is no such file."""
    found: dict[str, list[Opinion]] = {}
    for row in pq.read_table(path, schema=SCHEMA).to_pylist():
        features = None
        if row["views"] is not None:
            features = np.array(row["features"], dtype=np.float32).reshape(row["views"], -1)
        opinion = Opinion(
            Label(row["label"]), row["kind"], row["content"], row["p_synthetic"], features, row["fineness"]
        )
        found.setdefault(row["detector"], []).append(opinion)
    return found
