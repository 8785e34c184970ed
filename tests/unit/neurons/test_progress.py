"""Progress in a log, where no bar can be drawn."""

from __future__ import annotations

import pytest

from neurons.progress import LogLines


def test_a_log_has_lines_at_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    """The first line at once, no more until the interval is over, and one at the end of each part."""
    lines = LogLines("aerial", every=1000.0)
    for step in range(1, 11):
        lines("train", step, 10)
    lines("evaluate", 1, 5)
    assert capsys.readouterr().err.splitlines() == ["aerial: train 1/10", "aerial: train 10/10"]
    often = LogLines("aerial", every=0.0)
    for step in range(1, 4):
        often("train", step, 3)
    assert len(capsys.readouterr().err.splitlines()) == 3
