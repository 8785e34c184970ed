"""What the laboratory takes of models and variants: how it is measured, and that the rules hold what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import agreement, tables
from neurons.lab.rules import LabRules


def test_normal_scores_know_order_within_a_label_alone() -> None:
    """Any monotone change, of one label too, leaves them as they are; equal answers stay equal."""
    labels = np.array([False, False, False, True, True, True])
    values = np.array([0.1, 0.2, 0.2, 0.5, 0.9, 0.7])
    scores = agreement.normal_scores(values, labels)
    assert scores[1] == scores[2]
    assert scores[:3].mean() == pytest.approx(0, abs=0.1)
    np.testing.assert_array_equal(scores, agreement.normal_scores(np.where(labels, values**3, values / 2), labels))


def test_pairing_shares_ties_and_leaves_out_half_crowds() -> None:
    """One of two that are equally near is worth a half."""
    assert agreement.pairing([1, 2, 4, 8], [1, 2, 4, 8], 4).tolist() == [1, 1, 1, 1]
    assert agreement.pairing([7, 7, 0], [7, 7, 0], 2).tolist() == [0.5, 0.5]


def test_a_memory_is_right_at_its_best_threshold() -> None:
    """Also where near means synthetic; a coin where nothing is told apart."""
    labels = np.array([False, False, True, True])
    assert agreement.memory(np.array([2, 3, 30, 31]), labels) == 1.0
    assert agreement.memory(np.array([30, 31, 2, 3]), labels) == 1.0
    assert agreement.memory(np.array([20, 20, 20, 20]), labels) == 0.5


def test_intervals_draw_whole_groups() -> None:
    """Items of one photograph stay together: four copies of each of two say as little as the two."""
    values = np.array([0.0, 1.0] * 4)
    apart = agreement.bootstrap(lambda at: float(values[at].mean()), [str(n) for n in range(8)])
    together = agreement.bootstrap(lambda at: float(values[at].mean()), ["a", "b"] * 4)
    assert apart.value == together.value == 0.5
    assert (together.low, together.high) == (0.0, 1.0)
    assert together.low < apart.low < 0.5 < apart.high < together.high


def test_the_rules_hold_what_was_measured() -> None:
    """Level by level, to two digits: whoever measures anew changes both."""
    result, rules = tables.read(tables.RESULTS / "agreement.json"), LabRules()
    measured = {name: [row[at] for row in result["rows"]] for at, name in enumerate(result["columns"])}
    for name in ("items", "one_model", "pairing", "memory"):
        cells = measured[name.replace("_", " ")]
        assert [round(cell["value"], 2) for cell in cells] == list(getattr(rules, name)), name
