"""One validator and one miner per hotkey and subnet: who holds it, and what happens where no lock can be kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.hotkey_lock import hold_hotkey
from subnet.errors import StateError

LOG = structlog.get_logger()


def test_a_hotkey_is_held_once_a_subnet(tmp_path: Path) -> None:
    """The second holder is told the first one's process; another subnet, hotkey or program is free."""
    held = hold_hotkey("validator", tmp_path, 34, "one", LOG)
    assert held is not None
    with pytest.raises(StateError, match=rf"hotkey one on subnet 34 is in use by the process {os.getpid()}"):
        hold_hotkey("validator", tmp_path, 34, "one", LOG)
    others = [hold_hotkey("validator", tmp_path, 35, "one", LOG), hold_hotkey("validator", tmp_path, 34, "two", LOG)]
    others.append(hold_hotkey("miner", tmp_path, 34, "one", LOG))
    with pytest.raises(StateError, match="one miner per hotkey; stop that one first"):
        hold_hotkey("miner", tmp_path, 34, "one", LOG)
    os.close(held)
    others.append(hold_hotkey("validator", tmp_path, 34, "one", LOG))
    for lock in others:
        assert lock is not None
        os.close(lock)


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Who keeps the state elsewhere may have a read-only home: the program goes on, unguarded, and says so."""
    (tmp_path / "file").write_text("")
    with capture_logs() as logs:
        assert hold_hotkey("miner", tmp_path / "file" / "home", 34, "one", LOG) is None
    assert "a second miner of this hotkey would not be noticed" in logs[0]["event"]
