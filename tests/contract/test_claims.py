"""What every card of weights that ships promises: it is of these weights, and every sentence is true of its exam."""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import pytest

from detectors import TABLE, load_detector
from detectors.calibration import Calibration, Verdict
from detectors.checkpoints import HERE
from detectors.claims.card import Card, Share
from detectors.claims.choice import best
from detectors.claims.shelf import CARD, claims_of, read_card, trained_on
from detectors.claims.table import with_chapter
from detectors.claims.verdict import answer
from detectors.rows import DetectorRow
from subnet.types import Modality

WEIGHTED = [row for row in TABLE.values() if row.weights]
CARDS = {row.name: card for row in WEIGHTED if (card := read_card(HERE / f"{row.name}{CARD}")) is not None}
MOST_ALARMS = 0.02  # of real photographs, and of everyday pictures, by the default


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_of_the_weights_that_ship(name: str) -> None:
    """Their hash, what they were trained on, and a density that is the one that was fitted."""
    row, claims = TABLE[name], claims_of(name, load_detector(name))
    assert claims.card == CARDS[name]
    assert (claims.card.weights, claims.card.detector) == (row.sha256, name)
    assert claims.card.trained_on == trained_on(HERE / row.weights)
    assert (claims.density is not None) == bool(claims.card.reach and claims.card.reach.density)


def test_no_card_belongs_to_nothing() -> None:
    """Files of claims and densities are those of rows."""
    stems = {
        path.name.split(".")[0] for pattern in (f"*{CARD}", "*.density.safetensors") for path in HERE.glob(pattern)
    }
    assert stems <= set(CARDS)


@pytest.mark.parametrize("name", [name for name in CARDS if TABLE[name].weights == f"{name}.safetensors"])
def test_the_model_card_says_what_the_card_says(name: str) -> None:
    """Its last chapter is written from the card."""
    page = (HERE / TABLE[name].weights).with_suffix(".md").read_text(encoding="utf-8")
    assert page == with_chapter(page, CARDS[name])


@pytest.mark.parametrize("name", CARDS)
def test_parts_of_an_exam_sum_up_to_it(name: str) -> None:
    """By kind and by generator, counts and items are those of the whole, and intervals hold the shares."""
    for exam in CARDS[name].exams:
        for whole, parts in ((exam.false_alarms, exam.false_alarms_by), (exam.misses, exam.misses_by)):
            assert (whole is None) == (not parts)
            if whole is not None:
                assert whole.count == sum(part.count for part in parts.values())
                assert whole.items == sum(part.items for part in parts.values())
                assert_interval(whole)
        items = sum(share.items for share in (exam.false_alarms, exam.misses) if share)
        assert exam.far.items == items


def assert_interval(share: Share) -> None:
    if share.low is not None and share.high is not None:
        assert share.low - 1e-4 <= share.value <= share.high + 1e-4


def calibration_of(row: DetectorRow) -> Calibration:
    found: Calibration = getattr(load_detector(row.name), "calibration", Calibration())
    return found


@pytest.mark.parametrize("row", WEIGHTED, ids=lambda row: row.name)
def test_every_sentence_is_true_of_the_exam_that_it_names(row: DetectorRow) -> None:
    """Over all answers, near and far: shares are those of the exam, and no weights that ship find "no trace"."""
    card = CARDS.get(row.name, Card(row.name, row.sha256))
    calibration, exams = calibration_of(row), {exam.name: exam for exam in card.exams}
    for probability in np.linspace(0, 1, 101):
        for distance in (None, 0.5, 99.0):
            said = answer(card, calibration, float(probability), distance, shown="as stored")
            assert said.verdict is not Verdict.NO_TRACE
            shares = re.findall(r"\d+ of \d+ \([^)]*\)", said.sentence)
            assert bool(shares) == bool(said.exam), said.sentence
            if said.exam:
                exam = exams[said.exam]
                assert f"the exam {exam.name} " in said.sentence
                assert set(shares) <= {str(exam.false_alarms), str(exam.misses)}
            if said.verdict is Verdict.SYNTHETIC and card.reach:
                assert probability >= card.reach.synthetic_from


def test_the_default_accuses_few() -> None:
    """Of everyday pictures, as challenges and as they are stored, and of stored photographs at most MOST_ALARMS.

    Photographs that a validator has augmented are no such thing: how many of these are accused is on the card.
    """
    card = CARDS[best(Modality.IMAGE).name]
    exams = {exam.name: exam.false_alarms for exam in card.exams if exam.false_alarms}
    for name in ("everyday", "everyday-stored", "whole"):
        assert exams[name].value <= MOST_ALARMS
    assert "challenges" in exams


@pytest.mark.slow
def test_an_exam_that_is_taken_again_has_the_numbers_of_the_card() -> None:
    """ucf on the challenges, every one of them."""
    from benchmarks.claims import challenges
    from detectors.claims.sitting import exam_of, opinions
    from subnet.types import Split

    detector = load_detector("ucf")
    claims = claims_of("ucf", detector)
    (exam,) = (each for each in claims.card.exams if each.name == "challenges")
    given = list(opinions(detector, islice(challenges(Split.TEST), exam.far.items)))
    found = exam_of(given, claims.card, calibration_of(TABLE["ucf"]), claims.density, name=exam.name, shown=exam.shown)
    assert found == exam
