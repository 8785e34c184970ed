"""One validator per hotkey and subnet: who holds it, and what happens where no lock can be kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.validator.hotkey_lock import hold_hotkey
from subnet.errors import StateError

LOG = structlog.get_logger()


def test_a_hotkey_is_held_once_a_subnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second holder is told the first one's process; another subnet and another hotkey are free."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    held = hold_hotkey(34, "one", LOG)
    assert held is not None
    with pytest.raises(StateError, match=rf"hotkey one on subnet 34 is in use by the process {os.getpid()}"):
        hold_hotkey(34, "one", LOG)
    others = [hold_hotkey(35, "one", LOG), hold_hotkey(34, "two", LOG)]
    os.close(held)
    others.append(hold_hotkey(34, "one", LOG))
    for lock in others:
        assert lock is not None
        os.close(lock)


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who keeps the state elsewhere may have a read-only home: the validator plays on, unguarded, and says so."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "file" / "home"))
    with capture_logs() as logs:
        assert hold_hotkey(34, "one", LOG) is None
    assert "would not be noticed" in logs[0]["event"]
