"""Answers of many rounds as one table: a row for each miner, a column for each item. Pure, for statistics over miners.

Shapes: N miners, R items. Only predictions count: that two miners fail together says more of networks than of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from subnet.types import Label, Modality, Outcome, Prediction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
KINDS = tuple((modality, label) for modality in Modality for label in Label)  # what `kinds` counts


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """`p` is P(synthetic), float (N, R) in [0, 1], NaN where there is no prediction; `kinds` int (R,) into KINDS."""

    hotkeys: tuple[str, ...]
    p: Floats
    kinds: Ints

    def __post_init__(self) -> None:
        if self.p.shape != (len(self.hotkeys), len(self.kinds)):
            raise ValueError(f"{len(self.hotkeys)} hotkeys and {len(self.kinds)} items do not fit {self.p.shape}")

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether a prediction names the wrong label; False where there is none."""
        says = self.p > 0.5
        truth = np.array([label is Label.SYNTHETIC for _, label in KINDS])[self.kinds]
        return (says != truth) & ~np.isnan(self.p)


def tabulate(rounds: Iterable[Sequence[Outcome]]) -> AnswerTable:
    """The table of rounds that count, each given by its outcomes; hotkeys in order of their names.

    Where miners of one round were asked different items (twin rounds: other labels), each item has its own column.
    """
    rows: dict[str, int] = {}
    kinds: list[int] = []
    cells: tuple[list[int], list[int], list[float]] = ([], [], [])
    for outcomes in rounds:
        columns: dict[int, int] = {}
        for outcome in outcomes:
            if not isinstance(outcome.answer, Prediction):
                continue
            kind = KINDS.index((outcome.modality, outcome.label))
            if kind not in columns:
                columns[kind] = len(kinds)
                kinds.append(kind)
            cells[0].append(rows.setdefault(outcome.hotkey, len(rows)))
            cells[1].append(columns[kind])
            cells[2].append(outcome.answer.p_synthetic)
    p = np.full((len(rows), len(kinds)), np.nan)
    p[cells[0], cells[1]] = cells[2]
    order = sorted(rows)
    return AnswerTable(tuple(order), p[[rows[hotkey] for hotkey in order]], np.array(kinds, np.int64))
