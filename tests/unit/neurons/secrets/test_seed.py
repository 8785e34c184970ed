"""The secret seed: drawn once, kept for its owner alone, and never half written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from neurons.secrets.seed import choose_seed, kept_seed, read_seed
from subnet.errors import SettingsError, StateError


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


def test_one_that_was_open_is_closed(tmp_path: Path) -> None:
    """Folder and file of an older version lose the rights of others; the number stays."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    (folder / "seed").write_text("17\n")
    (folder / "seed").chmod(0o644)
    assert kept_seed(folder) == 17
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "seed")] == [0o700, 0o600]


def test_a_flag_wins_over_a_file_over_what_is_kept(tmp_path: Path) -> None:
    """And both flags at once are a mistake; nothing is drawn where a seed was given."""
    (tmp_path / "given").write_text(" 23 \n")
    assert choose_seed(5, None, tmp_path / "state") == 5
    assert choose_seed(None, tmp_path / "given", tmp_path / "state") == 23
    assert not (tmp_path / "state").exists()
    assert choose_seed(None, None, tmp_path / "state") == kept_seed(tmp_path / "state")
    with pytest.raises(SettingsError, match="--seed and --seed_file"):
        choose_seed(5, tmp_path / "given", tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"seven", b"-1", b"1 2", b"\xff\xfe7"])
def test_a_seed_file_without_a_number_is_a_settings_error(tmp_path: Path, content: bytes) -> None:
    """It names the flag and the file, and shows nothing of what may be a secret."""
    (tmp_path / "given").write_bytes(content)
    with pytest.raises(SettingsError, match="--seed_file"):
        read_seed(tmp_path / "given")
    with pytest.raises(SettingsError, match="--seed_file"):
        read_seed(tmp_path / "nowhere")
