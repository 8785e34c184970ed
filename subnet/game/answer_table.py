"""Answers of many rounds as one table: a row for each miner, a column for each item. Pure, for statistics over miners.

Shapes: N miners, R items. Only predictions count: that two miners fail together says more of networks than of them.
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from subnet.types import THRESHOLD, Label, Modality, Outcome, Prediction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RECENT = 10_000  # rounds whose answers are compared: beyond them miners are others than they were
KINDS = tuple((modality, label) for modality in Modality for label in Label)  # what `kinds` counts
_Column = tuple[int, "array[int]", "array[float]"]  # a kind, rows of hotkeys, and what they answered


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
        truth = np.array([label is Label.SYNTHETIC for _, label in KINDS])[self.kinds]
        wrong: NDArray[np.bool_] = ((self.p > THRESHOLD) != truth) & ~np.isnan(self.p)
        return wrong


class RecentAnswers:
    """The predictions of the last `rounds` rounds that count, as small as they get: 12 bytes each, 250 a round."""

    def __init__(self, rounds: int = RECENT) -> None:
        self._rows: dict[str, int] = {}
        self._next, self._added = 0, 0  # row of the next hotkey that is not known, and rounds so far
        self._rounds: deque[tuple[_Column, ...]] = deque(maxlen=rounds)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """One more round. Where miners were asked different items (twin rounds: other labels), each has a column."""
        columns: dict[int, tuple[list[int], list[float]]] = {}
        for outcome in outcomes:
            if isinstance(outcome.answer, Prediction):
                kind = KINDS.index((outcome.modality, outcome.label))
                rows, values = columns.setdefault(kind, ([], []))
                rows.append(self._row(outcome.hotkey))
                values.append(outcome.answer.p_synthetic)
        # made of lists, arrays have no room to grow
        self._rounds.append(tuple((kind, array("I", rows), array("d", p)) for kind, (rows, p) in columns.items()))
        self._added += 1
        if self._added % (self._rounds.maxlen or sys.maxsize) == 0:
            self._forget()

    def _row(self, hotkey: str) -> int:
        row = self._rows.setdefault(hotkey, self._next)
        self._next += row == self._next
        return row

    def _forget(self) -> None:
        """Drop hotkeys that have no answer left, so that departed miners take no memory for ever."""
        left = {row for columns in self._rounds for _, rows, _ in columns for row in rows}
        self._rows = {hotkey: row for hotkey, row in self._rows.items() if row in left}

    def table(self) -> AnswerTable:
        """All that is kept, hotkeys in order of their names; those without an answer left are not in it."""
        columns = [column for columns in list(self._rounds) for column in columns]
        names = {row: hotkey for hotkey, row in self._rows.items()}
        present = sorted({row for _, rows, _ in columns for row in rows}, key=lambda row: names[row])
        place = {row: at for at, row in enumerate(present)}
        p = np.full((len(present), len(columns)), np.nan)
        for at, (_, rows, values) in enumerate(columns):
            p[[place[row] for row in rows], at] = values
        return AnswerTable(
            tuple(names[row] for row in present), p, np.array([kind for kind, _, _ in columns], np.int64)
        )


def tabulate(rounds: Iterable[Sequence[Outcome]]) -> AnswerTable:
    """The table of rounds that count, each given by its outcomes."""
    answers = RecentAnswers(rounds=sys.maxsize)
    for outcomes in rounds:
        answers.add(outcomes)
    return answers.table()
