"""The table of published data sets in docs/data.md, made from the rows: `python -m neurons.datasets.preset_page`."""

from __future__ import annotations

from pathlib import Path

from detectors.dataset.presets import PRESETS, Part, Preset
from subnet.files import write_atomically

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
START, END = "<!-- presets: written by python -m neurons.datasets.preset_page -->", "<!-- end of presets -->"
HEAD = "| Preset | What | Folders: files | Licence, source |\n|---|---|---|---|\n"
LONGEST = 60  # characters of a path in the table


def folder(part: Part) -> str:
    """One line of a row: split, path, label, and how many files, where the authors say so."""
    way = part.way if len(part.way) <= LONGEST else part.way[: LONGEST - 3] + "..."
    way = way.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;").replace("*", "\\*")
    numbers = f" {part.numbers[0]} to {part.numbers[1]}" if part.numbers else ""
    count = "not given" if part.count is None else f"{part.count:,}"
    return f"{part.split} {part.label.name.lower()}, {way}{numbers}: {count}"


def row(preset: Preset) -> str:
    """A line of the table."""
    folders = "<br>".join(map(folder, preset.parts)) or "with an index.jsonl"
    scaled = f"; scaled up {preset.factor} times, each pixel repeated" if preset.side else ""
    return f"| `{preset.name}` | {preset.summary}{scaled} | {folders} | {preset.licence}; {preset.source} |\n"


def markdown() -> str:
    """The whole table between its marks."""
    return f"{START}\n{HEAD}{''.join(map(row, PRESETS.values()))}{END}"


def written(page: str) -> str:
    """`page` with the table as the rows have it. Raises ValueError where a mark is missing."""
    before, after = page.split(START, 1)[0], page.split(END, 1)[1:]
    if START not in page or not after:
        raise ValueError(f"{START} and {END} are needed")
    return before + markdown() + after[0]


if __name__ == "__main__":
    write_atomically(PAGE, written(PAGE.read_text(encoding="utf-8")).encode())
