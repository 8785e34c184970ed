"""The file of what people say was judged wrongly: whole lines, one for each file and its weights."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neurons.web.report.complaints import MOST, Complaints, Full
from subnet.errors import StateError


def said(number: int, weights: str = "w") -> str:
    return json.dumps({"sha256": f"{number:064x}", "verdict": "uncertain", "weights_hash": weights})


def lines(complaints: Complaints) -> list[str]:
    """The digests of all lines, each of which can be read."""
    return [json.loads(line)["sha256"] for line in complaints.path.read_text().splitlines()]


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes: what crosses that is written in part, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A line that does not fit is refused and leaves nothing; the next stands on its own once there is room."""
    complaints = Complaints(tmp_path)
    complaints.keep(said(1), "", 0)
    before = complaints.path.read_bytes()
    for room in (0, 1, 20):
        with full_at(len(before) + room), pytest.raises(StateError, match="cannot be written"):
            complaints.keep(said(2), "it is real", 0)
        assert complaints.path.read_bytes() == before
    complaints.keep(said(3), "", 0)
    assert lines(complaints) == [f"{number:064x}" for number in (1, 3)]


def test_a_line_that_was_cut_spoils_no_other(tmp_path: Path) -> None:
    """A machine that stopped in the middle of one: the next begins a line."""
    complaints = Complaints(tmp_path)
    complaints.path.write_bytes(b'{"time": 1, "sha')
    complaints.keep(said(1), "", 0)
    assert json.loads(complaints.path.read_bytes().splitlines()[1])["sha256"] == f"{1:064x}"


def test_one_file_has_one_line(tmp_path: Path) -> None:
    """Whatever is said of it and by whom, also by a new process; other weights and other files have theirs."""
    assert Complaints(tmp_path).keep(said(1), "it is real", 0)
    complaints = Complaints(tmp_path)
    assert not complaints.keep(said(1), "no, it is not", 9)
    assert not complaints.keep(said(1).replace("uncertain", "synthetic"), "", 9)
    assert complaints.keep(said(1, "others"), json.loads(said(2))["sha256"], 0)
    assert complaints.keep(said(2), '"sha256": "' + f"{3:064x}" + '"', 0)
    assert complaints.keep(said(3), "", 0)
    assert lines(complaints) == [f"{number:064x}" for number in (1, 1, 2, 3)]


def test_a_full_file_takes_no_more(tmp_path: Path) -> None:
    """And stays as it is."""
    complaints = Complaints(tmp_path)
    complaints.path.write_bytes(b"x" * (MOST - 50) + b"\n")
    with pytest.raises(Full):
        complaints.keep(said(1), "", 0)
    assert complaints.path.stat().st_size == MOST - 49
