"""Counts that pages state are those of the files that they count."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.places import ROOT

with (ROOT / "subnet/media/embedded/index.csv").open(encoding="utf-8", newline="") as file:
    INDEX = list(csv.DictReader(file))
with (ROOT / "subnet/media/everyday/index.csv").open(encoding="utf-8", newline="") as file:
    EVERYDAY = list(csv.DictReader(file))
FILES = Counter(row["modality"] for row in INDEX)
TRAIN = sum(row["modality"] == "image" and row["split"] == "train" for row in INDEX)
SOURCES = {kind: len({row["source"] for row in INDEX if row["modality"] == kind}) for kind in FILES}
TEXTS = sorted(
    [ROOT / "NOTICE", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/weights/*.md")],
)


def test_files_of_the_index_are_there() -> None:
    """One row for each photograph and clip on disk, so that counting rows counts files."""
    folder = ROOT / "subnet/media/embedded"
    assert {row["file"] for row in INDEX} == {
        str(path.relative_to(folder)) for name in ("photos", "clips") for path in (folder / name).iterdir()
    }


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_count_the_embedded_set_alike(path: Path) -> None:
    """Wherever a page tells how many photographs or clips the embedded set has, it is the number of rows."""
    text = " ".join(path.read_text(encoding="utf-8").split())
    for number in re.findall(r"(\d+) (?:real |embedded )?photographs (?:and|from)", text):
        assert int(number) == FILES["image"], text
    for number in re.findall(r"(\d+) camera clips", text):
        assert int(number) == FILES["video"]
    for number in re.findall(r"(\d+) (?:embedded training photographs|photographs of the embedded \*\*train)", text):
        assert int(number) == TRAIN
    for photographs, clips in re.findall(r"photographs from (\d+) sources and \d+ camera clips from (\d+)", text):
        assert (int(photographs), int(clips)) == (SOURCES["image"], SOURCES["video"])


def test_the_counts_are_told() -> None:
    """README, the page on data, the changelog and the notice tell them: a page that stops counting is noticed, too."""
    told = f"{FILES['image']} photographs from {SOURCES['image']} sources and {FILES['video']} camera clips"
    for name in ("README.md", "docs/data.md", "CHANGELOG.md", "NOTICE"):
        assert told in " ".join((ROOT / name).read_text(encoding="utf-8").split()), name


def test_the_everyday_files_are_counted() -> None:
    """The notice and the page on data tell how many there are."""
    for name in ("NOTICE", "docs/data.md"):
        assert f"{len(EVERYDAY)} drawings, renders" in " ".join((ROOT / name).read_text(encoding="utf-8").split()), name


def test_the_notice_names_every_origin() -> None:
    """The tables of NOTICE have as many files for each package as the indexes have."""
    rows = re.findall(r"^(\S.+?) {2,}(\d+)  ", (ROOT / "NOTICE").read_text(encoding="utf-8"), re.MULTILINE)
    packages = [re.search(r"(?:Debian|PyPI) \S+ [^\s,]+", row["origin"]) for row in (*INDEX, *EVERYDAY)]
    counted = Counter(package[0] for package in packages if package)
    assert {name: int(number) for name, number in rows} == counted
