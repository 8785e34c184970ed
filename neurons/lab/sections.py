"""The laboratory's report as sections; those of the run that docs/incentive.md shows ship with the program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Final

SHIPPED: Final = "sections.json"


@dataclass(frozen=True)
class Section:
    """One part of the report: a heading, sentences, a picture by name, and a table."""

    heading: str
    sentences: Sequence[str]
    picture: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def as_text(sections: Sequence[Section]) -> str:
    """JSON that `shipped` reads: a list of objects with the fields of `Section`."""
    return json.dumps([asdict(section) for section in sections], indent=1, ensure_ascii=False) + "\n"


def shipped() -> tuple[Section, ...]:
    """What `assay lab` found when it was last run for the page."""
    text = files("neurons.lab").joinpath(SHIPPED).read_text(encoding="utf-8")
    return tuple(Section(**fields) for fields in json.loads(text))
