"""Processes for native code: what they are given, what they inherit, and how they end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from subnet.confined import ask


def test_a_child_answers_and_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its input comes back, its environment has what it needs alone."""
    monkeypatch.setenv("ASSAY_SECRET", "x")
    told = ask("tests.unit.subnet.confined_child", ["echo"], b"bytes", 60)
    assert told is not None
    status, output = told
    assert (status, output.split(b"|")[0]) == (0, b"bytes")
    assert b"ASSAY_SECRET" not in output
    assert os.environ["ASSAY_SECRET"] == "x"


@pytest.mark.parametrize("how", ["memory", "file", "crash", "spin"])
def test_a_child_that_does_harm_ends(tmp_path: Path, how: str) -> None:
    """More memory or time than it may have, a file, a crash in native code: a status that is not 0."""
    place = tmp_path / "written"
    told = ask("tests.unit.subnet.confined_child", [how, str(place)], b"", 60)
    assert told is not None
    assert told[0] != 0
    assert not place.exists() or not place.read_bytes()


def test_a_child_that_sleeps_is_given_up() -> None:
    """None, once its time is over."""
    assert ask("tests.unit.subnet.confined_child", ["sleep"], b"", 1.5) is None
