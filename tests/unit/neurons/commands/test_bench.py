"""`assay bench`."""

from __future__ import annotations

import pytest

from tests.unit.neurons.running import Assay


@pytest.mark.timeout(300)
def test_both_sides_are_measured(assay: Assay) -> None:
    """For each detector: speeds of both sides, their ratio, and that no score moved by more than 1e-3."""
    ran = assay("bench", "npr", "random", "--items", "2", "--rounds", "1", "--device", "cpu", "--json")
    assert ran.status == 0, ran.message
    rows = {row["detector"]: row for row in ran.json}
    assert rows.keys() == {"npr", "random"}
    assert rows["npr"]["backend"].startswith("onnx")
    assert all(row["plain"] > 0 and row["served"] > 0 and row["moved"] <= 1e-3 for row in rows.values())
    assert rows["npr"]["speedup"] == pytest.approx(rows["npr"]["served"] / rows["npr"]["plain"])


def test_unknown_names_and_missing_weights(assay: Assay) -> None:
    """A name that is nearly right gets a proposal."""
    ran = assay("bench", "nrp")
    assert ran.status == 2
    assert "did you mean npr" in ran.message
