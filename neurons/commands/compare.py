"""`assay compare`: the numbers of evaluations from their matrices alone, one's own or others'."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurons import settings as s
from neurons.commands.tables.findings import difference_table, findings_table, null_line, tell_order
from neurons.progress import warn
from neurons.terminal import terminal
from subnet.errors import SettingsError


def compare(matrix: Path, *matrices: Path, json: s.Json = False) -> None:
    """Compute a report again from its matrix, or compare several: the first minus each other, on what both were asked.

    Parameters
    ----------
    matrix
        A parquet file with a row for each answer, as `assay evaluate --out` writes it: `item`, `detector`, `p` and
        `label` (0 real, 1 synthetic); `view`, `origin`, `cluster` and more where they are known.
    matrices
        Further ones, of other detectors on the same data.
    """
    from detectors.evaluation.matrix.reading import read_matrix
    from detectors.evaluation.matrix.recount import difference, recount

    paths = (matrix, *matrices)
    for path in paths:
        if not path.is_file():
            raise SettingsError(f"matrix: {path} is no file; name a matrix.parquet that assay evaluate --out wrote")
    judged = [each for path in paths for each in read_matrix(path)]
    found = [recount(each) for each in judged]
    differences = []
    for other in judged[1:]:
        cells, apart = difference(judged[0], other)
        if apart:
            names = f"{judged[0].about['detector']} and {other.about['detector']}"
            warn(f"{names}: {apart:,} answers to what the other was not asked are left out of the comparison")
        differences.append(cells)
    if json:
        print(jsonlib.dumps(_numbers(found, differences)))
        return
    for each in found:
        terminal().print(findings_table(each))
        if null := each.get("null"):
            print(f"{each['detector']}: {null_line(null)}")
        tell_order(each)
    for cells in differences:
        terminal().print(f"{cells['first']} against {cells['second']}")
        terminal().print(difference_table(cells))


def _numbers(found: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What `assay evaluate --json` prints of one detector or of two; of more all comparisons beside all findings."""
    if not differences:
        return found[0]
    if len(differences) == 1:
        return {**differences[0], "findings": found}
    return {"comparisons": differences, "findings": found}
