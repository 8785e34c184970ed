"""The cards that ship: of these very weights, whole, and every sentence that follows from one is true of its exam."""

from __future__ import annotations

import re
from itertools import product

import pytest

from detectors import TABLE
from detectors.calibration import Calibration, Verdict
from detectors.checkpoints import HERE, read
from detectors.claims.card import Card
from detectors.claims.choice import best
from detectors.claims.shelf import CARD, read_card
from detectors.claims.verdict import UNMEASURED, answer, synthetic_from
from subnet.types import Modality

SHIPPED = sorted(path.name.removesuffix(CARD) for path in HERE.glob(f"*{CARD}"))
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def card_of(name: str) -> Card:
    card = read_card(HERE / f"{name}{CARD}")
    assert card is not None
    return card


@pytest.mark.parametrize("modality", list(Modality))
def test_who_answers_where_nobody_is_named_has_a_card(modality: Modality) -> None:
    """Of pictures and of clips; with an exam of current generators, of which the sentences tell."""
    assert best(modality).name in SHIPPED
    assert card_of(best(modality).name).worst is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_every_sentence_is_true_of_the_exam_that_it_names(name: str) -> None:
    """Each verdict that the weights can give: its numbers are those of that exam or of the reach, and of nothing else."""
    card, calibration = card_of(name), read(HERE / TABLE[name].weights).calibration or Calibration()
    reach = card.reach
    assert reach is not None
    line = synthetic_from(card, calibration)
    probabilities = (0.0, calibration.low, (calibration.low + line) / 2, line, 1.0)
    far, coarse = reach.farthest, reach.coarsest
    distances = (None,) if far is None else (None, far, far + 1)
    finenesses = (None,) if coarse is None else (None, coarse, coarse - 1)
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
                own += [100 * reach.coarser, reach.stored, *(each for each in (far, coarse) if each is not None)]
                known = {f"{value:.{digits}f}" for value in own for digits in range(4)}
                known |= {f"{value:.2f}" for value in (distance, fineness) if value is not None}
                assert set(NUMBER.findall(given.sentence)) <= known, given.sentence
    assert (Verdict.NO_TRACE in said) == (card.claim is not None)
    assert {Verdict.SYNTHETIC, Verdict.UNCERTAIN, Verdict.CANNOT_TELL} <= said


@pytest.mark.parametrize("name", [name for name in SHIPPED if TABLE[name].modality is Modality.IMAGE])
def test_every_kind_of_everyday_picture_is_on_the_card(name: str) -> None:
    """Whoever judges pictures says how often it accuses such."""
    (exam,) = [each for each in card_of(name).exams if each.name == "everyday"]
    assert exam.false_alarms is not None
    assert len(exam.false_alarms_by) >= 15
