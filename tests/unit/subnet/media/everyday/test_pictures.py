"""All pictures of the exam."""

from __future__ import annotations

from collections import Counter

from subnet.media import everyday
from subnet.media.everyday.pictures import Counts, photographs, pictures
from subnet.types import Split

FEW = Counts(photographs=4, collages=1, pages=1, resaved=1)


def test_photographs_are_of_the_test_split_and_apart() -> None:
    """No training photograph is changed, and no source is in a kind twice."""
    chosen = photographs(Counts().photographs)
    assert len(chosen) == len({item.source for item in chosen}) == 40
    assert {item.split for item in chosen} == {Split.TEST}
    assert photographs(4) == chosen[:4]


def test_as_many_as_was_said() -> None:
    """Kinds and counts are those of the plan, names are their own, and fewer are the first of more."""
    found = list(pictures(FEW))
    assert len(found) == FEW.total
    assert len({(each.kind, each.name) for each in found}) == len(found)
    kinds = Counter(each.kind for each in found)
    assert {kind: kinds.pop(kind) for kind in everyday.KINDS} == dict.fromkeys(everyday.KINDS, 20)
    assert {kinds.pop(kind) for kind in ("document", "scan", "chart", "collage")} == {1}
    assert kinds.pop(everyday.RESAVED) == 8
    assert set(kinds.values()) == {4}
    assert all(each.licence and each.item for each in found)
    again = {(each.kind, each.name): each.data for each in pictures(Counts(1, 0, 1, 1))}
    assert all(again[key] == each.data for each in found if (key := (each.kind, each.name)) in again)
