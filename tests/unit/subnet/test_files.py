"""Files as a whole: kept from other users, also those that were open to them."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from subnet.files import private_file, private_folder, write_atomically


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [None, 0o755, 0o777, 0o700, 0o770])
def test_a_private_folder_is_closed_to_others(tmp_path: Path, before: int | None) -> None:
    """A new one from the start, one that was open is closed, whatever the umask."""
    path = tmp_path / "a" / "b"
    if before is not None:
        path.mkdir(parents=True)
        path.chmod(before)
    old = os.umask(0)
    try:
        assert private_folder(path) == path
    finally:
        os.umask(old)
    assert mode(path) == 0o700


def test_a_folder_that_all_share_is_left(tmp_path: Path) -> None:
    """A sticky folder such as /tmp belongs to everybody."""
    tmp_path.chmod(0o1777)
    private_folder(tmp_path)
    assert mode(tmp_path) == 0o1777


@pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o600])
def test_a_private_file_is_read_by_its_owner_alone(tmp_path: Path, before: int | None) -> None:
    """Its content stays as it was."""
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(b"kept")
        path.chmod(before)
    private_file(path)
    assert mode(path) == 0o600
    assert path.read_bytes() == (b"" if before is None else b"kept")


def test_a_file_that_no_room_is_left_for_is_named(tmp_path: Path) -> None:
    """As on a full disk: the error names the file that was to be written, which holds what it held before."""
    path = tmp_path / "weights.safetensors"
    write_atomically(path, b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        with pytest.raises(OSError, match=f"File too large: '{path}'"):
            write_atomically(path, bytes(64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
