"""What a study finds, and its folder: `report.json`, `index.html` with everything inside it, and the pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from detectors.dataset.items import Tell, silence
from detectors.evaluation.intervals import span
from subnet.files import write_atomically

Cell = float | int | str | None | Mapping[str, float | None]
Stage = Callable[[str, int, int], None]  # what is being done, how much of it is done, how much there is


def unwatched(what: str, done: int, total: int) -> None:
    """The default of `stage`: nothing is told."""


@dataclass(frozen=True)
class StudySettings:
    """Folders of data sets that share no content, where to write, and how thoroughly.

    `quick` shortens training and takes fewer items, so that the whole study ends within minutes; `steps` overrides the
    course of either.
    """

    train: Path
    validation: Path
    test: Path
    out: Path
    quick: bool = False
    steps: int | None = None
    seed: int = 0
    device: str = "cpu"
    stage: Stage = unwatched
    tell: Tell = silence
    left_out: tuple[str, ...] = ()  # generators that are not trained on, of the embedded data alone
    others: Mapping[str, Path] = field(default_factory=dict)  # further test sets by name, of other content or makers


UNSEEN = ("diffusion",)  # of the embedded generators, never trained on


def without(settings: StudySettings) -> str:
    """What is left out of training, in a sentence under a table."""
    names = ", ".join(settings.left_out)
    return f"{names} is left out of training." if names else "No generator is left out of training."


@dataclass(frozen=True)
class Table:
    """Rows by name, their cells in the order of `columns`: numbers, words, or intervals {value, low, high}."""

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        for name, cells in self.rows.items():
            if len(cells) != len(self.columns):
                raise ValueError(f"{self.title}: {name} has {len(cells)} cells for {len(self.columns)} columns")


@dataclass(frozen=True)
class Picture:
    """A PNG with what there is to see in it."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Claim:
    """A result that was published and is not repeated by this run: why not, and the command that would."""

    claim: str
    reason: str
    command: str


@dataclass(frozen=True)
class StudyReport:
    """Tables and pictures by name; names of pictures are those of their files."""

    name: str
    summary: str
    tables: Mapping[str, Table]
    pictures: Mapping[str, Picture]
    claims: Sequence[Claim] = ()
    facts: Mapping[str, Cell] = field(default_factory=dict)  # what was trained, on what, with which seed


def write_study(report: StudyReport, folder: Path) -> Path:
    """Write the report below `folder`; returns the page. Files of an older report there are replaced.

    The numbers come first: they say whose folder it is, should the rest not come to be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {
        "study": report.name,
        "facts": dict(report.facts),
        "tables": {
            name: {"title": table.title, "note": table.note, "rows": _by_column(table)}
            for name, table in report.tables.items()
        },
        "pictures": {f"{name}.png": picture.caption for name, picture in report.pictures.items()},
        "not_repeated": [asdict(claim) for claim in report.claims],
    }
    write_atomically(folder / "report.json", json.dumps(numbers, indent=1).encode() + b"\n")
    for name, picture in report.pictures.items():
        write_atomically(folder / f"{name}.png", picture.png)
    index = folder / "index.html"
    write_atomically(index, page(report).encode("utf-8", errors="backslashreplace"))
    return index


def _by_column(table: Table) -> dict[str, dict[str, Cell]]:
    return {name: dict(zip(table.columns, cells, strict=True)) for name, cells in table.rows.items()}


def page(report: StudyReport) -> str:
    """The report as one HTML document that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("detectors.studies", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = words
    inline = {name: base64.b64encode(picture.png).decode() for name, picture in report.pictures.items()}
    return environment.get_template("page.html").render(report=report, inline=inline)


def words(cell: Cell) -> str:
    """A cell for people: three digits, and an interval in brackets."""
    if cell is None:
        return ""
    if isinstance(cell, Mapping):
        value = cell["value"]
        return "" if value is None else f"{value:.3f} [{span(cell, '.2f', ', ')}]"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
