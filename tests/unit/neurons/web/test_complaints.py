"""What people say was judged wrongly, over HTTP with consent, and the file of it: whole lines, one for each file and its
weights."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest

from neurons.web.report.complaints import MOST, Complaints, Full
from subnet.errors import StateError
from tests.unit.neurons.web.test_trying import PHOTO, Rig, rig

__all__ = ["rig"]


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


async def test_no_page_by_a_name_of_elsewhere(rig: Rig) -> None:
    """A name that is bound to this machine anew makes a page of strangers look like one's own: not to us."""
    own = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
    assert (await rig.post(PHOTO, "/try.json", **own))[0] == 421
    form = sealed((await rig.post(PHOTO))[1])
    async with rig.session.post(f"{rig.url}/try/wrong", data={**form, "consent": "yes"}, headers=own) as response:
        assert response.status == 421
    assert not rig.trying.complaints.path.exists()


def sealed(text: str) -> dict[str, str]:
    """The hidden fields of the form on a report."""
    return {name: unescape(value) for name, value in re.findall(r'name="(said|seal)" value="([^"]*)"', text)}


async def test_nothing_is_stored_without_consent(rig: Rig) -> None:
    """With it a line with the file's digest, what was said and the comment; the file itself nowhere."""
    form = sealed((await rig.post(PHOTO))[1])
    path = rig.trying.complaints.path
    status, text = await rig.complain(**form, comment="it is real")
    assert (status, "nothing was stored" in text, path.exists()) == (200, True, False)
    status, _ = await rig.complain(**form, comment="it is \x1breal" + "\r\n" * 100, consent="yes")
    assert status == 200
    (line,) = path.read_text().splitlines()
    told = json.loads(line)
    assert set(told) == {"time", "sha256", "verdict", "p_synthetic", "detector", "weights_hash", "comment"}
    assert told["comment"].startswith("it is \\x1breal")
    assert len(line) < 2000
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_a_comment_that_is_too_long_is_refused(rig: Rig) -> None:
    """In words for people, however long it is; as long as the form allows it is taken, line by line."""
    form = sealed((await rig.post(PHOTO))[1])
    for length in (501, 40_000):
        status, text = await rig.complain(**form, comment="x" * length, consent="yes")
        assert (status, "it may have 500 characters. Nothing was stored." in text) == (413, True)
    assert not rig.trying.complaints.path.exists()
    assert (await rig.complain(**form, comment="x\r\n" * 250, consent="yes"))[0] == 200


async def test_what_is_said_twice_is_kept_once(rig: Rig) -> None:
    """And said so; pages that go well tell no status."""
    form = sealed((await rig.post(PHOTO))[1])
    for word in ("Thank you", "Known already"):
        status, text = await rig.complain(**form, consent="yes")
        assert (status, word in text, "Status" in text) == (200, True, False)
    assert len(rig.trying.complaints.path.read_text().splitlines()) == 1


async def test_what_cannot_be_stored_is_told(rig: Rig) -> None:
    """To the sender without the place, and to the operator with it, once until it works again."""
    form = sealed((await rig.post(PHOTO))[1])
    told: list[str] = []
    rig.trying.told = lambda what, why: told.append(why)
    rig.trying.complaints.path.parent.write_bytes(b"a file where the folder would be")
    for _ in range(2):
        status, text = await rig.complain(**form, consent="yes")
        assert (status, "could not be stored" in text, str(rig.trying.complaints.path) in text) == (503, True, False)
    assert [str(rig.trying.complaints.path) in why for why in told] == [True]


async def test_nobody_makes_up_lines(rig: Rig) -> None:
    """Another text under a seal, no seal, and a file that is full."""
    form = sealed((await rig.post(PHOTO))[1])
    for wrong in ({**form, "said": form["said"].replace("npr", "ucf")}, {"said": form["said"]}, {}):
        assert (await rig.complain(**wrong, consent="yes"))[0] == 400
    path = rig.trying.complaints.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * (MOST - 10))
    status, text = await rig.complain(**form, consent="yes")
    assert (status, "no room" in text) == (503, True)
    assert path.stat().st_size == MOST - 10
