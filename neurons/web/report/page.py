"""A report as HTML: a section for a page of the site, or a page that opens from a disk and loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from detectors.claims.card import Card, Share
from neurons.provenance.clue import Clue
from neurons.verdicts.judging import Explained, Judged
from neurons.web.rendering.environment import file, template
from neurons.web.report.figures import figures
from subnet.printing import percent

STYLE: Final = "report.css"
_SECONDS_SHOWN: Final = 64  # moments of a clip in the table


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that is said of the file called `name`; `explained` is None where nothing could be."""

    name: str
    judged: Judged
    explained: Explained | None
    clues: tuple[Clue, ...]


def section(report: Report, number: int = 1) -> str:
    """The report as a part of a page, on which it is the one of this number."""
    judged = report.judged
    told: dict[str, Any] = {
        "number": number,
        "name": report.name,
        "found": judged.found,
        "explained": report.explained and report.explained.found,
        "figures": figures(judged, report.explained),
        "squares": [view for view in judged.views if view.kind == "square"],
        "tiles": [view for view in judged.views if view.kind == "tile"],
        "moments": _thinned(judged),
        "card": judged.card,
        "exams": [*_exams(judged.card)],
        "clues": report.clues,
    }
    return template("report").render(**told)


def alone(sections: Iterable[str], count: int) -> Iterator[str]:
    """A whole page of `sections` about `count` files, piece by piece: no section is asked for before the pieces of
    those in front of it were taken."""
    styles = Markup(file("site.css") + file(STYLE))
    return template("alone").generate(sections=map(Markup, sections), count=count, styles=styles)


def _thinned(judged: Judged) -> list[dict[str, Any]]:
    moments: list[dict[str, Any]] = judged.found["timeline"]
    return moments[:: max(1, -(-len(moments) // _SECONDS_SHOWN))]


def _exams(card: Card) -> Iterator[dict[str, str]]:
    for exam in card.exams:
        yield {
            "name": exam.name,
            "shown": exam.shown,
            "current": "of generators in use" if exam.current else "",
            "false_alarms": _share(exam.false_alarms),
            "misses": _share(exam.misses),
            "far": _share(exam.far),
        }


def _share(share: Share | None) -> str:
    if share is None:
        return "–"
    known = share.low is not None and share.high is not None
    span = f" [{percent(share.low or 0)}, {percent(share.high or 0)}]" if known else ""
    return f"{share.count} of {share.items}, {percent(share.value)} %{span}"
