"""The pages of all measurements, made from results/*.json: `python -m benchmarks.tables [FOLDER]`.

A result file holds one table: title, the command that measures it, date, the commit that first states it, columns,
rows, and what must be known to read it. A cell is a text, or a value with its 95 % interval; `digits` are theirs. To
measure again, write the new numbers, date and commit into the file and run this; a test compares page and files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gallery import LOOKS, PICTURES, answered, outcome
from detectors.evaluation.intervals import span
from subnet.errors import SettingsError
from subnet.files import write_atomically

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[1] / "docs"
FIELDS = {"title", "command", "measured", "commit", "about", "digits", "columns", "rows", "notes"}
HEADS = {
    "benchmarks.md": """# Benchmarks

Written by `python -m benchmarks.tables` from `benchmarks/results/`; do not edit. Measured on two cores of a shared
server without a GPU. Training and these figures share no photograph, no clip and no generator seed; the one exception
to tuning is told below its table. A commit is the one that first states the numbers.
""",
    "detectors.md": """# All detectors, side by side

Written by `python -m benchmarks.tables` from `benchmarks/results/`; do not edit. Measured on two cores of a shared
server without a GPU. Training and these figures share no photograph, no clip and no generator seed; brackets are 95 %
bootstrap intervals over photographs or clips. All of them know small local generators only: nothing here says how well
they judge pictures from large text-to-image models. Most generators of the test set are those of training; `diffusion`
is a family that no detector was trained on. `retrieval` says membership and is meant to know nothing here.
""",
}
ORDERS = {
    "benchmarks.md": (
        "leave-one-out",
        "quality",
        "leak",
        "in-painted",
        "history",
        "agreement",
        "speed",
        "round",
        "flood",
        "gateway",
        "together",
        "repeats",
        "evidence",
        "windows",
        "soak",
        "training",
        "cluster",
        "card",
        "web",
        "matched-history",
        "frozen-tower",
    ),
    "detectors.md": ("accuracy-images", "accuracy-clips", "accuracy-pans", "everyday", "cost", "motion"),
}
LOOKING = """
## What each looks at

`python -m benchmarks.gallery`

The same photograph of the test set and its synthetic twin for all detectors of images, the same pan over a photograph
and its twin for those of clips, as validators send them at level 0; with the answer of the weights that ship. No
weights that ship are known to find current generators, so that a low number is called "cannot tell", never "real".
Maps are Grad-CAM: warm is where the evidence for the answer lies, and the gain is how much farther the log-odds move
when these places are painted over than when random ones are; a map without a gain explains nothing.
"""


def read(path: Path) -> dict[str, Any]:
    """One result file. Raises SettingsError that names the file and what is wrong with it."""
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path}: not JSON: {error}") from error
    if not isinstance(result, dict) or set(result) != FIELDS:
        raise SettingsError(f"{path}: a result has exactly the fields {', '.join(sorted(FIELDS))}")
    short = [row for row in result["rows"] if len(row) != len(result["columns"])]
    if short:
        raise SettingsError(
            f"{path}: {len(result['columns'])} columns, but a row has {len(short[0])} cells: {short[0]}"
        )
    return result


def cell(value: Any, digits: Sequence[int]) -> str:
    """A text as it is; a value with its interval as "0.886 [0.84, 0.92]"."""
    if isinstance(value, str):
        return value
    fine, rough = digits
    return f"{value['value']:.{fine}f} [{span(value, f'.{rough}f', ', ')}]"


def chapter(result: dict[str, Any]) -> str:
    """Title, command, table and remarks of one result, as Markdown."""
    origin = f", commit {result['commit']}" if result["commit"] else ""
    rows = [result["columns"], ["---"] * len(result["columns"])]
    rows += [[cell(value, result["digits"]) for value in row] for row in result["rows"]]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    source = f"`{result['command']}` ({result['measured']}{origin})"
    return "\n\n".join((f"\n## {result['title']}", source, *result["about"], table, *result["notes"])) + "\n"


def looks(pictures: Path = PICTURES) -> str:
    """The pictures of what each detector looks at that there are, each below its name and what one sees in it."""
    shown = [look for look in LOOKS.values() if (pictures / f"{look.name}.png").is_file()]
    answers, parts = answered(), []
    for look in shown:
        words = f"{look.sentence} {outcome(answers[look.name])}"
        parts.append(
            f"### {look.name}\n\n{words}\n\n![What {look.name} looks at](pictures/detectors/{look.name}.png)\n"
        )
    without = ", ".join(f"`{look.name}`" for look in LOOKS.values() if look not in shown)
    return "\n".join(
        [LOOKING, *parts, *([f"Not pictured, since no weights of them ship: {without}.\n"] if without else [])]
    )


def page(name: str, results: Path = RESULTS) -> str:
    """The whole page called `name`, a file of docs/."""
    chapters = [chapter(read(results / f"{part}.json")) for part in ORDERS[name]]
    return HEADS[name] + "".join(chapters) + (looks() if name == "detectors.md" else "")


def main(words: Sequence[str]) -> None:
    """Write the pages to the folder given, or to docs/."""
    folder = Path(words[0]) if words else DOCS
    for name in HEADS:
        write_atomically(folder / name, page(name).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
