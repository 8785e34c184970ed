"""Answers as a table: what stands where, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from subnet.game.answer_table import KINDS, AnswerTable, RecentAnswers, tabulate
from subnet.types import Answer, Failure, Label, Modality, Outcome, Prediction


def outcome(hotkey: str, label: Label, answer: Answer, modality: Modality = Modality.IMAGE) -> Outcome:
    return Outcome(hotkey, "c", modality, label, answer, 0.1, 1)


ROUNDS = [
    [outcome("b", Label.REAL, Prediction(0.9)), outcome("a", Label.REAL, Prediction(0.5))],
    [outcome("a", Label.SYNTHETIC, Prediction(0.5), Modality.VIDEO), outcome("b", Label.SYNTHETIC, Failure.TIMEOUT)],
]


def test_answers_stand_by_hotkey_and_round() -> None:
    """Rows are in order of hotkeys, columns in order of rounds; failures and silence are NaN and never wrong."""
    table = tabulate(ROUNDS)
    assert table.hotkeys == ("a", "b")
    np.testing.assert_array_equal(table.p, [[0.5, 0.5], [0.9, np.nan]])
    assert [KINDS[kind] for kind in table.kinds] == [(Modality.IMAGE, Label.REAL), (Modality.VIDEO, Label.SYNTHETIC)]
    np.testing.assert_array_equal(table.wrong, [[False, True], [True, False]])  # a tie says real


def test_twins_of_one_round_are_two_items() -> None:
    """Who was asked the photograph and who was asked its twin answered different questions."""
    table = tabulate([[outcome("a", Label.REAL, Prediction(0.2)), outcome("b", Label.SYNTHETIC, Prediction(0.2))]])
    np.testing.assert_array_equal(table.p, [[0.2, np.nan], [np.nan, 0.2]])
    np.testing.assert_array_equal(table.wrong, [[False, False], [False, True]])


def test_old_rounds_and_who_played_only_them_are_dropped() -> None:
    """Only the last rounds are kept, void ones without answers among them."""
    recent = RecentAnswers(rounds=2)
    for played in (ROUNDS[0], ROUNDS[1], []):
        recent.add(played)
    assert recent.table().hotkeys == ("a",)
    assert recent.table().p.shape == (1, 1)
    assert RecentAnswers().table().p.shape == (0, 0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    """A table cannot be built wrong."""
    with pytest.raises(ValueError, match="do not fit"):
        AnswerTable(("a",), np.zeros((2, 3)), np.zeros(3, np.int64))


def test_departed_hotkeys_take_no_memory() -> None:
    """However many come and go: names are kept for two windows at most, and who comes again has his old place or a new
    one.
    """
    recent = RecentAnswers(rounds=3)
    for n in range(100):
        recent.add([outcome("stays", Label.REAL, Prediction(0.5)), outcome(f"new {n}", Label.REAL, Prediction(0.1))])
    assert len(recent._rows) <= 7
    recent.add([outcome("new 0", Label.REAL, Prediction(0.9))])
    table = recent.table()
    assert table.hotkeys == ("new 0", "new 98", "new 99", "stays")
    np.testing.assert_array_equal(
        table.p, [[np.nan, np.nan, 0.9], [0.1, np.nan, np.nan], [np.nan, 0.1, np.nan], [0.5, 0.5, np.nan]]
    )
