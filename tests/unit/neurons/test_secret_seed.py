"""The secret seed: drawn once, kept for its owner alone, and never half written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from neurons.secret_seed import kept_seed
from subnet.errors import StateError


def test_it_is_drawn_once_and_private(tmp_path: Path) -> None:
    """The same folder gives the same number for ever, another folder another; only the owner may read the file."""
    first = kept_seed(tmp_path / "a")
    assert kept_seed(tmp_path / "a") == first != kept_seed(tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "a" / "seed").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["seed"]


@pytest.mark.parametrize("text", ["", "  \n", "seven", "-3", "1.5", "7\n8"])
def test_a_file_that_holds_no_number_is_told_with_a_way_out(tmp_path: Path, text: str) -> None:
    """An empty or damaged file, as an older version could leave behind, is a StateError that names the file."""
    (tmp_path / "seed").write_text(text)
    with pytest.raises(StateError, match=r"seed.*delete the file to draw a new one"):
        kept_seed(tmp_path)


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """A path below a file is a StateError, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be kept"):
        kept_seed(tmp_path / "file" / "folder")
