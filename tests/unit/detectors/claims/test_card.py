"""Cards of weights: what is on them comes back, and what is no card is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from detectors.claims.card import MOST_MISSED, Card, Exam, Reach, Share, from_json, to_json

FAR = Share(2, 200, 0.001, 0.03)
ALARMS = Share(1, 100, 0.0, 0.05)


def exam(name: str, misses: Share | None, *, current: bool = False, alarms: Share | None = ALARMS) -> Exam:
    by = {"small": misses} if misses else {}
    return Exam(name, "as stored", current, alarms, misses, FAR, {"photographs": ALARMS}, by)


CARD = Card(
    "npr",
    "ab" * 32,
    ("ae-nearest",),
    Reach("embedded:validation", 120, 60, 0.91, 0.0167, 0.02, 1.9, "cd" * 32),
    (exam("current", Share(75, 75, 0.95, 1.0), current=True, alarms=None), exam("known", Share(30, 100, 0.2, 0.4))),
)


def test_a_card_comes_back_whole() -> None:
    """Text and card are the same thing, with and without a reach."""
    assert from_json(to_json(CARD)) == CARD
    empty = Card("npr", "")
    assert from_json(to_json(empty)) == empty
    assert to_json(from_json(to_json(CARD))) == to_json(CARD)


def test_an_exam_replaces_that_of_its_name() -> None:
    """Exams stand in the order of their names, each once."""
    better = exam("known", Share(10, 100, 0.05, 0.2))
    card = CARD.with_exam(better).with_exam(exam("another", None))
    assert [each.name for each in card.exams] == ["another", "current", "known"]
    assert better in card.exams


@pytest.mark.parametrize(
    ("misses", "current", "claimed"),
    [
        (Share(5, 200, 0.01, MOST_MISSED), True, True),
        (Share(5, 200, 0.01, MOST_MISSED + 0.01), True, False),
        (Share(0, 8, None, None), True, False),  # too few for an interval
        (Share(5, 200, 0.01, 0.05), False, False),  # not of current generators
        (None, True, False),
    ],
)
def test_only_few_misses_of_current_generators_are_a_claim(misses: Share | None, current: bool, claimed: bool) -> None:
    """The upper end of the interval counts, there must be one, and the generators must be current."""
    card = replace(CARD, exams=(exam("e", misses, current=current),))
    assert (card.claim is not None) == claimed


def test_none_missed_of_many_is_a_claim() -> None:
    """An upper end of 0 is few, too."""
    assert replace(CARD, exams=(exam("e", Share(0, 500, 0.0, 0.0), current=True),)).claim is not None


def test_shares_are_told_with_their_intervals() -> None:
    """Count, items, per cent, and the interval where there is one; more than all is no share."""
    assert str(Share(3, 200, 0.004, 0.04)) == "3 of 200 (1.5 %, 95 % interval 0.4 to 4.0 %)"
    assert str(Share(1, 8, None, None)) == "1 of 8 (12.5 %)"
    for wrong in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="no share"):
            Share(*wrong, None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"reach": {"data": "x"}},
        {"exams": [{"name": "e"}]},
        {"exams": 3},
        {
            "exams": [
                {**json.loads(to_json(CARD))["exams"][0], "misses": {"count": 9, "items": 2, "low": None, "high": 1}}
            ]
        },
    ],
)
def test_what_is_no_card_is_refused(change: dict[str, object]) -> None:
    """Fields of another kind, missing ones, and shares of more than all."""
    text = json.dumps({**json.loads(to_json(CARD)), **change})
    with pytest.raises((ValueError, KeyError)):
        from_json(text)
