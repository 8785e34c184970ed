"""`assay generators` and `assay detectors`: the tables, for people and for machines."""

from __future__ import annotations

import pytest

import generators
from tests.unit.neurons.running import Assay


@pytest.mark.parametrize("command", ["generators", "detectors"])
def test_every_row_is_listed_for_both(assay: Assay, command: str) -> None:
    """JSON has the rows of the table, and so has what people read."""
    listed = [row["name"] for row in assay(command, "--json").json]
    told = assay(command).out
    assert listed
    assert all(name in told for name in listed)


def test_people_are_told_why_a_row_does_not_run_here(assay: Assay) -> None:
    """Signs of a licence are not taken for markup, and each reason is told once, behind the names that it holds for."""
    rows = assay("generators", "--json").json
    told = " ".join(assay("generators").out.split()) + " "
    assert "[dev]" in generators.TABLE["flux-dev"].licence
    assert "[dev]" in told
    for reason in {row["reason"] for row in rows} - {""}:
        assert told.count(f": {reason} ") == 1


@pytest.mark.parametrize("width", [30, 44, 60, 80, 200])
@pytest.mark.parametrize("command", ["generators", "detectors"])
def test_no_word_is_broken(assay: Assay, monkeypatch: pytest.MonkeyPatch, command: str, width: int) -> None:
    """In a terminal of any width every word of the table stands whole, and no line is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    rows = assay(command, "--json").json
    told = assay(command).out
    kept = [row[key] for row in rows for key in ("name", "licence" if command == "generators" else "summary")]
    assert set(" ".join(kept).replace(";", " ").split()) <= set(told.replace(";", " ").split())
    assert max(map(len, told.splitlines())) <= width
