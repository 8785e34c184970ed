"""The page on choosing a detector has the rows that can be fetched, with their facts."""

from __future__ import annotations

import pytest

from detectors import TABLE
from detectors.fetching.memory import needed
from detectors.fetching.store import bulk
from detectors.rows import DetectorRow
from tests.places import ROOT

PAGE = (ROOT / "docs/choosing-a-detector.md").read_text()


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.files], ids=lambda row: row.name)
def test_every_row_is_on_the_page_with_its_facts(row: DetectorRow) -> None:
    """Parameters, size of the files, memory, input and licence, and the published number with its source."""
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| `{row.name}` |")]
    facts = next(line for line in lines if f"{row.parameters:,}" in line)
    memory = [f"{needed(row, device) / 1e9:.1f} GB" for device in ("cpu", "cuda:0")]
    assert f"| {bulk(row)} | {memory[0]} | {memory[1]} |" in facts
    assert f"{row.input_size}" in facts
    assert facts.endswith(f"| {row.licence} |")
    first = row.published.split()[0]
    assert any(f"{first} " in line for line in lines if line is not facts)
