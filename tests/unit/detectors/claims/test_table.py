"""Cards as a chapter of a model card."""

from __future__ import annotations

from detectors.claims.card import Card
from detectors.claims.table import TITLE, chapter, with_chapter
from tests.unit.detectors.claims.test_card import ALARMS, CARD


def test_all_numbers_of_a_card_are_told() -> None:
    """Every share of every exam, the threshold and the line; what is not known is said."""
    text = chapter(CARD)
    for exam in CARD.exams:
        for share in (exam.false_alarms, exam.misses, exam.far, *exam.misses_by.values()):
            assert share is None or str(share) in text
    assert "from 0.9100 on" in text
    assert "current (as stored, current generators)" in text
    assert str(ALARMS) in text
    assert "does not name" in chapter(Card("x", ""))


def test_a_chapter_replaces_an_earlier_one() -> None:
    """The page before it stays, and writing again changes nothing."""
    page = "# npr\n\n## Limits\nMany.\n"
    once = with_chapter(page, Card("x", ""))
    assert once.startswith(page)
    assert with_chapter(once, CARD) == with_chapter(page, CARD)
    assert once.count(TITLE) == 1
