"""The README's tree of files is the repository's, and every room is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT

PACKAGES = ("neurons", "subnet", "detectors", "generators")
PLACES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/weights/*.md"), ROOT / "NOTICE"])


def tree() -> Iterator[tuple[Path, str]]:
    """Path and description of each line of the block below "Where things are"."""
    block = (ROOT / "README.md").read_text().partition("## Where things are")[2].split("```")[1]
    folder = Path()
    for line in filter(str.strip, block.splitlines()):
        name, _, about = line.strip().partition(" ")
        folder = folder if line.startswith(" ") else Path(name)
        yield (folder / name if line.startswith(" ") else folder), about.strip()


def test_the_tree_is_there() -> None:
    """Every line names a file or folder that exists, and says what it is for."""
    lines = list(tree())
    assert [str(path) for path, _ in lines if not (ROOT / path).exists()] == []
    assert [str(path) for path, about in lines if not about] == []
    assert len(lines) == len(dict(lines))


def test_every_room_is_in_the_tree() -> None:
    """Folders of the packages down to the second level with modules of their own; deeper ones belong to theirs."""
    rooms = {
        path.parent.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
        if len(path.parent.relative_to(ROOT).parts) <= 3
    }
    assert {str(room) for room in rooms - {path for path, _ in tree()}} == set()


@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_pages_name_are_there(path: Path) -> None:
    """A page that writes `subnet/game/step.py` means a file that exists; the changelog may tell of old ones."""
    if path.name == "CHANGELOG.md":
        return
    named = re.findall(rf"\b((?:{'|'.join(PACKAGES)}|tests|benchmarks|docs)/[\w/]*\.(?:py|md))\b", path.read_text())
    meant = [name for name in named if "NAME" not in name]
    assert [name for name in meant if not (ROOT / name).exists() and not (path.parent / name).exists()] == []
