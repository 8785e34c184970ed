"""The sections that ship are those of the page."""

from __future__ import annotations

import json

from neurons.lab.report import BEGIN, END, as_markdown
from neurons.lab.sections import Section, as_text, shipped
from tests.places import ROOT


def test_what_ships_is_what_the_page_says() -> None:
    """docs/incentive.md; after `assay lab --page docs/incentive.md` copy runs/lab/sections.json to neurons/lab/."""
    page = (ROOT / "docs" / "incentive.md").read_text(encoding="utf-8")
    pictures = {path.stem for path in (ROOT / "docs" / "pictures").glob("*.png")}
    inside = page[page.index(BEGIN) : page.index(END) + len(END)]
    assert as_markdown(shipped(), pictures) == inside
    assert (ROOT / "neurons" / "lab" / "sections.json").read_text(encoding="utf-8") == as_text(shipped())


def test_sections_are_written_as_they_are_read() -> None:
    """Every field, in order, with signs beyond ASCII as they are."""
    sections = [Section("a", ["one ± two"], "p", ["x", "y"], [["1", "2"]]), Section("b", [])]
    assert [Section(**fields) for fields in json.loads(as_text(sections))] == [
        Section("a", ["one ± two"], "p", ["x", "y"], [["1", "2"]]),
        Section("b", [], "", [], []),
    ]
    assert "±" in as_text(sections)
