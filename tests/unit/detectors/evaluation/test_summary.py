"""False alarms by kind with exact intervals, and consistency."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from detectors.evaluation.intervals import exact
from detectors.evaluation.summary import Answers, alarms, consistency
from subnet.media.everyday import RESAVED


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_exact(share: tuple[int, int]) -> None:
    """Those of scipy's binomial test."""
    count, pictures = share
    found, wanted = exact(count, pictures), binomtest(count, pictures).proportion_ci(method="exact")
    assert (found["low"], found["high"]) == pytest.approx((wanted.low, wanted.high), abs=2e-6)
    assert found["value"] == pytest.approx(count / pictures, abs=1e-6)


def answers(rows: list[tuple[str, int, int, float]]) -> Answers:
    """Rows of kind, content, level, answer."""
    kinds, contents, levels, p = zip(*rows, strict=True)
    numbers = {name: np.array(values, dtype=np.int64) for name, values in (("level", levels), ("cluster", contents))}
    zeros = np.zeros(len(rows), dtype=np.int64)
    names = np.array(kinds)
    return Answers(np.array(p), zeros, **numbers, origin=names, source=names, size=zeros, stored=zeros)


def test_alarms_by_kind_and_level() -> None:
    """Of each kind at each level the share above one half; all together without what is saved again."""
    rows = [("map", n, level, 0.9 if n < 3 * (1 + level) else 0.5) for n in range(12) for level in (0, 1)]
    rows += [("scan", 12 + n, 0, 0.2) for n in range(8)]
    rows += [(RESAVED, 30 + n // 8, 0, 1.0) for n in range(16)]
    found = alarms(answers(rows))
    assert found["by_kind"]["map"] == {"0": exact(3, 12), "1": exact(6, 12)}
    assert found["by_kind"]["scan"] == {"0": exact(0, 8)}
    assert set(found["by_kind"]) == {"map", "scan"}
    assert found["by_level"]["0"]["type_1_error"]["value"] == pytest.approx(3 / 20)
    assert found["type_1_error"]["value"] == pytest.approx(9 / 32, abs=1e-6)
    assert found["consistency"] == {"0": {"times": 8, "one_verdict": exact(2, 2), "accused": exact(2, 2)}}


def test_one_verdict_is_that_of_all_eight() -> None:
    """A photograph that is called synthetic once in eight has two verdicts."""
    hits = {0: 0, 1: 1, 2: 7, 3: 8}
    rows = [(RESAVED, photo, 0, 0.51 if n < hits[photo] else 0.5) for photo in hits for n in range(8)]
    found = consistency(answers(rows))
    assert (found["one_verdict"], found["accused"]) == (exact(2, 4), exact(3, 4))
    assert consistency(answers(rows).where(np.zeros(32, dtype=np.bool_))) == {}
