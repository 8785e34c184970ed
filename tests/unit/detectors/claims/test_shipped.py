"""The cards that ship: of these very weights, whole, and every sentence that follows from one is true of its exam."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from detectors import TABLE
from detectors.calibration import Calibration, Verdict
from detectors.checkpoints import HERE, read, sha256_of
from detectors.claims.card import Card, Exam, Share
from detectors.claims.shelf import CARD, DENSITY, read_card, trained_on
from detectors.claims.table import chapter
from detectors.claims.verdict import UNMEASURED, answer, synthetic_from

SHIPPED = sorted(path.name.removesuffix(CARD) for path in HERE.glob(f"*{CARD}"))
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def card_of(name: str) -> Card:
    card = read_card(HERE / f"{name}{CARD}")
    assert card is not None
    return card


def shares(exam: Exam) -> list[Share]:
    return [each for each in (exam.false_alarms, exam.misses, exam.far) if each is not None]


def test_the_default_and_its_members_have_cards() -> None:
    """Those that answer where nobody names a detector."""
    assert {"ensemble", "npr", "spectral", "ucf"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_is_of_the_weights_that_ship(name: str) -> None:
    """Their sha256, that of the density beside it, what they were trained on, and the chapter of their model card."""
    card, row = card_of(name), TABLE[name]
    assert (card.detector, card.weights) == (name, row.sha256)
    assert card.reach is not None
    assert card.reach.density == sha256_of(HERE / f"{name}{DENSITY}")
    assert card.trained_on == trained_on(HERE / row.weights)
    page = Path(HERE / row.weights).with_suffix(".md").read_text(encoding="utf-8")
    assert page.endswith(chapter(card))


@pytest.mark.parametrize("name", SHIPPED)
def test_parts_of_an_exam_come_to_its_whole(name: str) -> None:
    """False alarms by kind, misses by generator: counts and items add up, and intervals hold their share."""
    for exam in card_of(name).exams:
        for whole, parts in ((exam.false_alarms, exam.false_alarms_by), (exam.misses, exam.misses_by)):
            assert sum(each.count for each in parts.values()) == (whole.count if whole else 0)
            assert sum(each.items for each in parts.values()) == (whole.items if whole else 0)
            for each in (*parts.values(), *shares(exam)):
                assert (each.low or 0.0) <= each.value <= (1.0 if each.high is None else each.high)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_sentence_is_true_of_the_exam_that_it_names(name: str) -> None:
    """Each verdict that the weights can give: its numbers are those of that exam or of the reach, and of nothing else."""
    card, calibration = card_of(name), read(HERE / TABLE[name].weights).calibration or Calibration()
    reach = card.reach
    assert reach is not None
    assert reach.farthest is not None
    assert reach.coarsest is not None
    line = synthetic_from(card, calibration)
    probabilities = (0.0, calibration.low, (calibration.low + line) / 2, line, 1.0)
    distances, finenesses = (None, reach.farthest, reach.farthest + 1), (None, reach.coarsest, reach.coarsest - 1)
    exams, said = {exam.name: exam for exam in card.exams}, set()
    for p, distance, fineness in product(probabilities, distances, finenesses):
        for shown in ("as stored", *(exam.shown for exam in card.exams)):
            given = answer(card, calibration, p, distance, fineness, shown=shown)
            said.add(given.verdict)
            if given.exam:
                exam = exams[given.exam]
                assert f"exam {exam.name}" in given.sentence
                told = given.sentence
                for share in (exam.false_alarms, exam.misses):
                    told = told.replace(str(share), "") if share else told
                assert not NUMBER.search(told.replace(exam.name, "")), given.sentence
                assert given.verdict is not Verdict.NO_TRACE or exam == card.claim
            elif given.sentence != UNMEASURED:
                own = [line, calibration.low, 100 * reach.false_alarms, reach.real, 100 * reach.beyond, reach.items]
                own += [reach.farthest, 100 * reach.coarser, reach.coarsest, reach.stored]
                known = {f"{value:.{digits}f}" for value in own for digits in range(4)}
                known |= {f"{value:.2f}" for value in (distance, fineness) if value is not None}
                assert set(NUMBER.findall(given.sentence)) <= known, given.sentence
    assert (Verdict.NO_TRACE in said) == (card.claim is not None)
    assert {Verdict.SYNTHETIC, Verdict.UNCERTAIN, Verdict.CANNOT_TELL} <= said


@pytest.mark.parametrize("name", SHIPPED)
def test_few_everyday_pictures_are_accused(name: str) -> None:
    """At most 2 % of the everyday exam, and none of it is called free of traces by weights that have no claim."""
    (exam,) = [each for each in card_of(name).exams if each.name == "everyday"]
    assert exam.false_alarms is not None
    assert exam.false_alarms.value <= 0.02
    assert len(exam.false_alarms_by) >= 15
