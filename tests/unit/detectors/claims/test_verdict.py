"""Verdicts and their sentences."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.calibration import Calibration, Verdict
from detectors.claims.card import Card, Exam, Reach, Share
from detectors.claims.verdict import UNMEASURED, Mark, answer, mark
from tests.unit.detectors.claims.test_card import ALARMS, CARD, FAR, exam

CALIBRATION = Calibration(low=0.3, high=0.7)
CURRENT = Exam("today-2026", "as stored", True, None, Share(12, 300, 0.02, 0.07), FAR, {}, {})
CLAIMING = CARD.with_exam(CURRENT)


@given(st.floats(0, 1), st.floats(0, 10) | st.none())
def test_no_trace_found_needs_a_claim(probability: float, distance: float | None) -> None:
    """Without few misses of current generators nothing is ever called free of traces, whatever the answer."""
    for card in (CARD, Card("npr", ""), replace(CARD, exams=())):
        assert answer(card, CALIBRATION, probability, distance).verdict is not Verdict.NO_TRACE


def test_every_place_has_its_verdict() -> None:
    """High, between, low, and far, with a claim and without; the card's threshold counts before the calibration's."""
    for probability, distance, found, plain, claiming in (
        (0.95, 1.0, Mark.HIGH, Verdict.SYNTHETIC, Verdict.SYNTHETIC),
        (0.90, 1.0, Mark.BETWEEN, Verdict.UNCERTAIN, Verdict.UNCERTAIN),
        (0.10, 1.0, Mark.LOW, Verdict.CANNOT_TELL, Verdict.NO_TRACE),
        (0.95, 1.95, Mark.FAR, Verdict.CANNOT_TELL, Verdict.CANNOT_TELL),
        (0.10, None, Mark.LOW, Verdict.CANNOT_TELL, Verdict.NO_TRACE),
    ):
        assert mark(CARD, CALIBRATION, probability, distance) is found
        assert answer(CARD, CALIBRATION, probability, distance).verdict is plain
        assert answer(CLAIMING, CALIBRATION, probability, distance).verdict is claiming
    bare = Card("npr", "")
    verdicts = [answer(bare, CALIBRATION, p, 99.0).verdict for p in (0.2, 0.69, 0.7)]
    assert verdicts == [Verdict.CANNOT_TELL, Verdict.UNCERTAIN, Verdict.SYNTHETIC]


def test_a_half_is_never_synthetic() -> None:
    """The game's threshold stands below every card's."""
    reach = Reach("d", 10, 5, 0.5, 0.0)
    assert mark(Card("x", "", (), reach), Calibration(), 0.5) is not Mark.HIGH


def test_sentences_give_the_numbers_of_the_exam_that_they_name() -> None:
    """Of the exam that was shown alike, of the claim, of the worst current exam, of the reach."""
    challenges = Exam("challenges", "at levels 0, 1", False, ALARMS, Share(7, 90, 0.02, 0.2), FAR, {}, {})
    card = CLAIMING.with_exam(challenges)
    high = answer(card, CALIBRATION, 0.99, shown="at levels 0, 1")
    assert (high.exam, str(challenges.misses) in high.sentence) == ("challenges", True)
    assert answer(card, CALIBRATION, 0.99, shown="as stored").exam == "known"
    low = answer(card, CALIBRATION, 0.01)
    assert (low.exam, str(CURRENT.misses) in low.sentence) == ("today-2026", True)
    assert "no proof" in low.sentence
    plain = answer(CARD, CALIBRATION, 0.01)
    assert "75 of 75 (100.0 %" in plain.sentence
    assert "no sign that it is real" in plain.sentence
    assert answer(Card("x", ""), CALIBRATION, 0.01).sentence == UNMEASURED
    assert re.findall(r"[\d.]+", answer(CARD, CALIBRATION, 0.5).sentence) == ["0.910", "1.7", "60", "0.30"]
    assert re.findall(r"[\d.]+", answer(CARD, CALIBRATION, 0.5, 2.5).sentence) == ["2", "120", "2.50", "1.90"]


@pytest.mark.parametrize("card", [Card("x", ""), replace(CARD, exams=(exam("only fakes", ALARMS, alarms=None),))])
def test_a_synthetic_without_an_exam_says_so(card: Card) -> None:
    """Nobody knows how often weights without a measured share of false alarms accuse the real."""
    said = answer(card, CALIBRATION, 0.99)
    assert said.verdict is Verdict.SYNTHETIC
    assert said.exam == ""
    assert "never measured on real items" in said.sentence


def test_without_fine_detail_nothing_is_told() -> None:
    """Coarser than the line: cannot tell, whatever the answer, the distance and the claim, with both numbers and why."""
    reach = replace(CARD.reach, coarsest=-1.3, coarser=0.018, stored=114)  # type: ignore[type-var]
    for card in (replace(CARD, reach=reach), replace(CLAIMING, reach=reach)):
        for probability, distance in ((0.99, 1.0), (0.99, None), (0.99, 9.0), (0.01, 1.0)):
            assert mark(card, CALIBRATION, probability, distance, -1.31) is Mark.COARSE
            said = answer(card, CALIBRATION, probability, distance, -1.31)
            assert said.verdict is Verdict.CANNOT_TELL
            assert re.findall(r"-?[\d.]+", said.sentence) == ["-1.31", "-1.30", "2", "114"]
            assert "enlarging" in said.sentence
        assert mark(card, CALIBRATION, 0.99, 1.0, -1.29) is Mark.HIGH
        assert mark(card, CALIBRATION, 0.99, 1.0, None) is Mark.HIGH
    assert mark(CARD, CALIBRATION, 0.99, 1.0, -9.0) is Mark.HIGH  # this card has no such line
