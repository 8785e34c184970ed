"""The hub's client against a real server that misbehaves: polite, resuming, never a partial or wrong file."""

from __future__ import annotations

import io
import random
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx2
import pytest

from subnet.media.hub.client import (
    Hub,
    HubFile,
    HubUnavailable,
    Listing,
    Patience,
    RangeFile,
    raise_if_hopeless,
    retry_after,
)
from tests.unit.subnet.media.hub.hub_server import COMMIT, DOWN, Fault, HubServer, serve

NAME = "someone/photos"
DATA = random.Random(0).randbytes(700_000)
QUICK = Patience(tries=4, first_wait=0.01, timeout=5.0, longest_wait=2.0, window=0.3, least_bytes=50_000)
Open = Callable[..., Hub]


@pytest.fixture
def server() -> Iterator[HubServer]:
    with serve(HubServer({NAME: {"data/a b.parquet": DATA, "README.md": b"hello"}}, small=("README.md",))) as hub:
        yield hub


@pytest.fixture
def connect(server: HubServer) -> Iterator[Open]:
    """Clients of `server`; `waits` collects how long they were told to wait instead of sleeping when it is given."""
    made = []

    def open_hub(token: str | None = None, waits: list[float] | None = None) -> Hub:
        wait = time.sleep if waits is None else waits.append
        made.append(Hub(server.url, token, patience=QUICK, wait=wait))
        return made[-1]

    yield open_hub
    for hub in made:
        hub.close()


def first(listing: Listing, name: str = "data/a b.parquet") -> HubFile:
    return next(file for file in listing.files if file.path == name)


def test_a_listing_has_all_files_of_one_commit(server: HubServer, connect: Open) -> None:
    """Pages are followed; sizes and hashes are those of the files."""
    server.page = 1
    listing = connect().listing(NAME)
    assert listing.commit == COMMIT
    assert {file.path: file.size for file in listing.files} == {"data/a b.parquet": 700_000, "README.md": 5}
    assert first(listing).sha256 is not None
    assert first(listing, "README.md").sha256 is None


@pytest.mark.parametrize("name", ["data/a b.parquet", "README.md"])
def test_a_download_is_the_file(connect: Open, tmp_path: Path, name: str) -> None:
    """Large files are checked by sha256, small ones by git's hash."""
    hub = connect()
    listing = hub.listing(NAME)
    path = hub.download(listing, first(listing, name), tmp_path / "x")
    assert path.read_bytes() == (DATA if name != "README.md" else b"hello")
    assert list(tmp_path.iterdir()) == [path]


def test_a_cut_transfer_is_taken_up_where_it_broke(server: HubServer, connect: Open, tmp_path: Path) -> None:
    """After two cuts the third request asks for the rest only, and the file is whole."""
    hub = connect()
    listing = hub.listing(NAME)
    server.faults["resolve"] = [Fault(cut=100_000), Fault(cut=200_000)]
    hub.download(listing, first(listing), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    ranges = [headers.get("range") for path, headers in server.seen if "resolve" in path]
    assert ranges == [None, "bytes=100000-", "bytes=300000-"]


def test_a_restart_takes_up_what_lies_there(server: HubServer, connect: Open, tmp_path: Path) -> None:
    """A download that was given up leaves no visible file, and a new process goes on from its bytes."""
    hub = connect()
    listing = hub.listing(NAME)
    server.faults["resolve"] = [Fault(cut=150_000), *[Fault(cut=0)] * 8]
    with pytest.raises(HubUnavailable, match="150,000 of 700,000"):
        hub.download(listing, first(listing), tmp_path / "x")
    assert not (tmp_path / "x").exists()
    server.faults.clear()
    connect().download(listing, first(listing), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert server.seen[-1][1]["range"] == "bytes=150000-"


def test_wrong_bytes_never_become_a_file(server: HubServer, connect: Open, tmp_path: Path) -> None:
    """One wrong transfer is fetched again; two in a row end in HubUnavailable with nothing left behind."""
    hub = connect()
    listing = hub.listing(NAME)
    server.faults["resolve"] = [Fault(wrong=True)]
    assert hub.download(listing, first(listing), tmp_path / "x").read_bytes() == DATA
    server.faults["resolve"] = [Fault(wrong=True), Fault(wrong=True)]
    with pytest.raises(HubUnavailable, match="wrong hash"):
        hub.download(listing, first(listing), tmp_path / "y")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(server: HubServer, connect: Open, status: int) -> None:
    """The client waits as long as it was told, for real, and then succeeds."""
    server.faults["revision"] = [Fault(status, {"Retry-After": "1"})]
    begun = time.monotonic()
    connect().listing(NAME)
    assert time.monotonic() - begun >= 1.0


def test_a_wait_beyond_patience_is_handed_to_the_caller(server: HubServer, connect: Open) -> None:
    """Told to come back in 300 s, the client does not sleep: it raises with that number after one request."""
    server.faults["revision"] = [Fault(429, {"Retry-After": "300"})]
    with pytest.raises(HubUnavailable) as caught:
        connect(waits=[]).listing(NAME)
    assert caught.value.retry_after == 300
    assert len(server.seen) == 1


def test_server_errors_are_tried_with_longer_and_longer_waits(server: HubServer, connect: Open) -> None:
    """Waits double; after the last try HubUnavailable says which status came."""
    server.faults["api"] = [DOWN]
    waits: list[float] = []
    with pytest.raises(HubUnavailable, match="503"):
        connect(waits=waits).listing(NAME)
    assert waits == [0.01, 0.02, 0.04]
    assert len(server.seen) == QUICK.tries


@pytest.mark.parametrize(("status", "said"), [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "no such thing")])
def test_what_only_a_person_can_change_is_not_tried_again(
    server: HubServer, connect: Open, status: int, said: str
) -> None:
    """Gated, forbidden and missing: one request, a message that says what to do, and an hour of rest."""
    server.faults["api"] = [Fault(status)]
    with pytest.raises(HubUnavailable, match=said) as caught:
        connect().listing(NAME)
    assert caught.value.retry_after == 3600.0
    assert len(server.seen) == 1


def test_garbage_is_no_listing(server: HubServer, connect: Open) -> None:
    """HTML with status 200 is not taken for an answer."""
    server.faults["revision"] = [Fault(garbage=True)]
    with pytest.raises(HubUnavailable, match="no JSON"):
        connect().listing(NAME)


def test_a_trickle_is_given_up(server: HubServer, connect: Open, tmp_path: Path) -> None:
    """A kilobyte every 50 ms is below what patience allows: the transfer ends early and goes on when it is fast again."""
    hub = connect()
    listing = hub.listing(NAME)
    server.faults["resolve"] = [Fault(slow=0.05)]
    begun = time.monotonic()
    hub.download(listing, first(listing), tmp_path / "x")
    assert time.monotonic() - begun < 10
    assert (tmp_path / "x").read_bytes() == DATA


def test_nobody_listens() -> None:
    """A dead endpoint is HubUnavailable, naming it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    hub = Hub(f"http://127.0.0.1:{port}", patience=QUICK, wait=lambda seconds: None)
    with pytest.raises(HubUnavailable, match=f"127.0.0.1:{port} cannot be reached"):
        hub.listing(NAME)
    hub.close()


def test_the_token_stays_with_the_hub(tmp_path: Path) -> None:
    """It is sent to the endpoint, not to the host that a file is redirected to; without it the set is closed."""
    with serve(HubServer({NAME: {"a.zip": DATA}}, token="Bearer secret"), other_host=True) as server:
        stranger = Hub(server.url, patience=QUICK)
        with pytest.raises(HubUnavailable, match="wants to know who asks.*401"):
            stranger.listing(NAME)
        stranger.close()
        hub = Hub(server.url, "secret", patience=QUICK)
        listing = hub.listing(NAME)
        assert hub.download(listing, listing.files[0], tmp_path / "x").read_bytes() == DATA
        hub.close()
        by_kind = {path.split("/")[1]: headers.get("authorization") for path, headers in server.seen}
        assert by_kind["datasets"] == "Bearer secret"
        assert by_kind["cdn"] is None


def test_a_range_file_reads_like_a_file(server: HubServer, connect: Open) -> None:
    """Any seek and read gives the bytes of the file, also through a cut; only what is read is fetched."""
    hub = connect()
    listing = hub.listing(NAME)
    raw = RangeFile(hub, listing, first(listing))
    server.faults["resolve"] = [Fault(cut=10)]
    raw.seek(-100, io.SEEK_END)
    assert raw.read(1000) == DATA[-100:]
    raw.seek(5)
    raw.seek(5, io.SEEK_CUR)
    assert (raw.read(20), raw.tell()) == (DATA[10:30], 30)
    assert raw.fetched == 120
    assert io.BufferedReader(raw, 1000).read(50) == DATA[30:80]


def test_retry_after_in_every_form() -> None:
    """Seconds, an HTTP date (past and future), the hub's own header; nonsense is None."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after({"retry-after": "7"}) == 7
    assert 80 < (retry_after({"retry-after": soon}) or 0) <= 90
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"ratelimit": '"api";r=0;t=138'}) == 138
    assert retry_after({"ratelimit": '"api";r=12;t=138'}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (401, "RepoNotFound", "no such data set, or it is private"),
        (404, "RepoNotFound", "no such data set, or it is private"),
        (401, "GatedRepo", "accept the terms"),
        (403, "GatedRepo", "accept the terms"),
        (404, "RevisionNotFound", "no such revision"),
        (404, "EntryNotFound", "no such file"),
        (403, "", "accept the terms"),
        (401, "", "check the name"),
        (404, "", "check the name"),
        (401, "SomethingNew", "check the name"),
    ],
)
def test_a_refusal_says_what_would_help(status: int, code: str, advice: str) -> None:
    """The hub's own code of the error decides, else the status: what is not there is not told as gated."""
    response = httpx2.Response(status, headers={"x-error-code": code} if code else {})
    with pytest.raises(HubUnavailable, match=advice) as raised:
        raise_if_hopeless(response, "https://hub/api/datasets/a/b", None, last=False)
    assert ("terms" in str(raised.value)) == (advice == "accept the terms")
