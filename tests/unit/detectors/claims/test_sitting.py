"""Exams: opinions become shares, thresholds and reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import load_detector
from detectors.calibration import Calibration
from detectors.claims.card import Card, Reach
from detectors.claims.density import fit
from detectors.claims.sitting import BEYOND, Opinion, Picture, distance_of, exam_of, opinions, reach_of, threshold
from detectors.whole_picture import judge
from subnet.types import Label, Media

CALIBRATION = Calibration(low=0.3, high=0.7)


def opinion(label: Label, kind: str, content: int, p: float, features: np.ndarray | None = None) -> Opinion:
    return Opinion(label, kind, content, p, features)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.floats(0, 0.2))
def test_a_threshold_keeps_its_rate(real: list[float], rate: float) -> None:
    """At most that share of the real items reaches it, unless they lie at 1; and it is never below a half."""
    line = threshold(np.array(real), rate)
    assert 0.5 <= line <= 1.0
    if line < 1.0:
        assert np.mean(np.array(real) >= line) <= rate


def test_a_threshold_is_no_higher_than_needed() -> None:
    """The 98th of a hundred may pass at 2 %; none may at less than a hundredth."""
    real = np.linspace(0.6, 0.99, 100)
    assert threshold(real, 0.02) == pytest.approx(np.sort(real)[-3], abs=2e-4)
    assert threshold(real, 0.005) == pytest.approx(0.99, abs=2e-4)


def test_shares_are_counted_by_label_kind_and_generator() -> None:
    """False alarms of the real, misses of the fakes, both of them by name; twins of a photograph count once."""
    given = [opinion(Label.REAL, "photo" if n % 2 else "drawing", n, 0.95 if n < 3 else 0.1) for n in range(30)]
    given += [opinion(Label.SYNTHETIC, f"g{n % 3}", n, 0.95 if n % 3 else 0.5) for n in range(30)]
    exam = exam_of(given, Card("x", ""), CALIBRATION, None, name="e", shown="as stored")
    assert exam.false_alarms is not None
    assert exam.misses is not None
    assert (exam.false_alarms.count, exam.false_alarms.items) == (3, 30)
    assert {kind: share.count for kind, share in exam.false_alarms_by.items()} == {"drawing": 2, "photo": 1}
    assert {name: (share.count, share.items) for name, share in exam.misses_by.items()} == {
        "g0": (10, 10),
        "g1": (0, 10),
        "g2": (0, 10),
    }
    assert exam.misses.count == sum(share.count for share in exam.misses_by.values())
    assert exam.misses.low is not None
    assert exam.misses.low <= exam.misses.value <= (exam.misses.high or 0)
    assert exam.far.count == 0


def test_an_exam_of_one_class_has_half_the_numbers() -> None:
    """Drawings alone tell of false alarms, current fakes alone of misses; of nothing there is no exam."""
    reals = [opinion(Label.REAL, "drawing", n, 0.1) for n in range(12)]
    fakes = [opinion(Label.SYNTHETIC, "today", n, 0.1) for n in range(12)]
    args = (Card("x", ""), CALIBRATION, None)
    assert exam_of(reals, *args, name="e", shown="as stored").misses is None
    only = exam_of(fakes, *args, name="e", shown="as stored", current=True)
    assert (only.false_alarms, only.misses_by["today"].count) == (None, 12)
    with pytest.raises(ValueError, match="nothing in it"):
        exam_of([], *args, name="e", shown="as stored")


def test_the_reach_is_fitted_on_what_others_show() -> None:
    """BEYOND of the items lie beyond the line, each measured by a density without its own photograph; odd ones do."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(4, 20))

    def features(count: int) -> np.ndarray:
        return (rng.normal(size=(count, 4)) @ mix + 0.3 * rng.normal(size=(count, 20))).astype(np.float32)

    given = [opinion(Label(n % 2), "k", n // 2, 0.2 + 0.6 * (n % 2), features(2)) for n in range(200)]
    reach, density = reach_of(given, "somewhere")
    assert density is not None
    assert (reach.items, reach.real, reach.data) == (200, 100, "somewhere")
    assert 0 < reach.beyond <= BEYOND
    assert reach.farthest is not None
    fresh = [distance_of(density, features(2)) for _ in range(200)]
    assert np.mean([each > reach.farthest for each in fresh if each is not None]) < 3 * BEYOND
    odd = distance_of(density, features(2) + 9.0)
    assert odd is not None
    assert odd > reach.farthest
    without, none = reach_of([opinion(Label.REAL, "k", n, 0.2) for n in range(9)], "s")
    assert (without.farthest, none) == (None, None)
    with pytest.raises(ValueError, match="real items"):
        reach_of([opinion(Label.SYNTHETIC, "k", 0, 0.2)], "s")


def test_far_items_are_neither_alarms_nor_found() -> None:
    """What lies beyond the line is told as far, and counts as missed where it is a fake."""
    near = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    density = fit(near)
    card = Card("x", "", (), Reach("d", 50, 25, 0.8, 0.0, 0.0, 3.0))
    given = [opinion(Label(n % 2), "k", n, 0.95, near[n : n + 1] + (100.0 if n >= 10 else 0.0)) for n in range(20)]
    exam = exam_of(given, card, CALIBRATION, density, name="e", shown="as stored")
    assert exam.far.count == 10
    assert exam.false_alarms is not None
    assert exam.misses is not None
    assert (exam.false_alarms.count, exam.misses.count) == (5, 5)


def test_opinions_are_those_of_the_whole_picture() -> None:
    """A large picture is asked by its parts, whose features come along; a flat one is passed over."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 300, 420, 3), np.uint8)
    flat = Media(np.full((1, 300, 300, 3), 9, np.uint8))
    detector = load_detector("vit_cam")
    media = Media(noise)
    given = [Picture(media, Label.REAL, "noise", 0), Picture(flat, Label.REAL, "flat", 1)]
    (found,) = opinions(detector, given)
    whole = judge(detector, media)
    assert found.p_synthetic == pytest.approx(whole.p_synthetic)
    assert found.features is not None
    assert found.features.shape == (len(whole.views), 128)


def test_the_line_of_fineness_is_that_of_what_is_stored() -> None:
    """At most BEYOND of the stored items lie below it; too few draw none; what does is neither an alarm nor found."""
    given = [opinion(Label(n % 2), "k", n, 0.95) for n in range(20)]
    stored = np.random.default_rng(0).normal(-0.7, 0.2, 200).tolist()
    reach, _ = reach_of(given, "somewhere", stored)
    assert reach.coarsest is not None
    assert reach.coarser == np.mean(np.array(stored) < reach.coarsest) <= BEYOND
    assert (reach.stored, min(stored) < reach.coarsest) == (200, True)
    assert reach_of(given, "somewhere", stored[:39])[0].coarsest is None
    coarse = [replace(each, fineness=-2.0 if each.content < 10 else -0.5) for each in given]
    card = Card("x", "", (), replace(reach, synthetic_from=0.8))
    exam = exam_of(coarse, card, CALIBRATION, None, name="e", shown="as stored")
    assert exam.false_alarms is not None
    assert exam.misses is not None
    assert (exam.far.count, exam.false_alarms.count, exam.misses.count) == (10, 5, 5)
