"""The numbers of a report, and of a comparison, from matrices alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.dataset.contents import numbers_of
from detectors.evaluation.compare import compared
from detectors.evaluation.evaluation import findings
from detectors.evaluation.matrix.reading import Judged
from detectors.evaluation.summary import Findings
from subnet.errors import DataError


def recount(judged: Judged) -> Findings:
    """The findings of the evaluation that the matrix is of, to the last digit."""
    items = numbers_of(judged.items.tolist())
    return findings(judged.about, items, judged.answers, judged.blank, judged.outcomes, judged.orders)


def difference(first: Judged, second: Judged) -> tuple[dict[str, Any], int]:
    """First minus second on what both were asked, and how many answers of the two others were left out for that.

    Raises DataError where they have nothing in common, or hold other labels for the same item.
    """
    places = {key: row for row, key in enumerate(_keys(second))}
    pairs = [(row, places[key]) for row, key in enumerate(_keys(first)) if key in places]
    one, other = first.about["detector"], second.about["detector"]
    if not pairs:
        raise DataError(
            f"compare: {one} and {other} have no item in one view in common; give matrices of the same data"
        )
    rows, others = (np.array(column) for column in zip(*pairs, strict=True))
    wrong = np.flatnonzero(first.answers.y[rows] != second.answers.y[others])
    if len(wrong):
        item = first.items[rows[wrong[0]]]
        raise DataError(f"compare: {item} has another label for {one} than for {other}; give matrices of the same data")
    kept = np.zeros(len(first.items), dtype=np.bool_)
    kept[rows] = True
    found = compared((one, other), first.answers.where(kept), second.answers.p[others], seed=first.about["seed"])
    return found, len(first.items) + len(second.items) - 2 * len(pairs)


def _keys(judged: Judged) -> list[tuple[str, int]]:
    return list(zip(judged.items.tolist(), judged.answers.level.tolist(), strict=True))
