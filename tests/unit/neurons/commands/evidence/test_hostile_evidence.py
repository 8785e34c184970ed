"""Evidence that was made to hurt whoever checks it: each comes to a finding or one of our errors, at a bounded cost."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neurons.commands.evidence.verify import check
from subnet.codec.versions import codec_versions
from subnet.errors import SettingsError, StateError
from subnet.evidence.entries.entry import GENESIS, Entry, link
from subnet.evidence.entries.lines import MAX_TEXT, write_line
from subnet.evidence.findings import Verification, text_of
from subnet.evidence.proof.depot import Depot
from subnet.evidence.proof.publication import MANIFEST, parse_manifest
from tests.unit.neurons.commands.evidence.rig import NETUID, VALIDATOR, Body, Story, checked, published, tell
from tests.unit.neurons.running import Assay
from tests.unit.subnet.evidence.entries.test_lines import DEEP, JSON

ROUND, COMMIT = 5, 4  # entries of these kinds


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("hostile-story"))


def laid_out(folder: Path, text: bytes, last: Entry | None = None, **listed: object) -> Depot:
    """One part of any text at all, and a manifest that fits it but for what is `listed` otherwise."""
    data = pa.compress(text, codec="zstd", asbytes=True)
    (folder / "entries").mkdir(parents=True)
    (folder / "entries" / "a.zst").write_bytes(data)
    seq, head = (last.seq, last.hash) if last else (1, GENESIS)
    part = {"file": "entries/a.zst", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    part = {**part, "first": 1, "last": seq, "head": head, **listed}
    manifest = {"format": "assay-evidence/1", "schema_version": 3, "netuid": NETUID, "hotkey": VALIDATOR.ss58_address}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "codecs": codec_versions(), "parts": [part], "media": []}))
    return Depot(folder)


def rehashed(rows: Iterable[tuple[str, str]]) -> list[Entry]:
    entries, previous = list[Entry](), GENESIS
    for kind, body in rows:
        entries.append(Entry(len(entries) + 1, kind, body, link(previous, kind, body)))
        previous = entries[-1].hash
    return entries


def with_body(story: Story, seq: int, body: str, folder: Path) -> Verification:
    """What a stranger finds where entry `seq` has another body, and everything behind it fits."""
    entries = rehashed((e.kind, body if e.seq == seq else e.body) for e in story.entries)
    text = "".join(map(write_line, entries)).encode()
    return checked(story, laid_out(folder, text, entries[-1]))


def changed(story: Story, seq: int, change: Callable[[Body], object]) -> str:
    body: Body = json.loads(story.entries[seq - 1].body)
    change(body)
    return json.dumps(body)


def places(result: Verification) -> set[int]:
    return {finding.seq for finding in result.false}


@pytest.mark.parametrize("body", ["[]", "{", "12", "null", '"x"', "", '{"a":' + DEEP, '{"number":' + "1" * 5000 + "}"])
def test_a_body_that_is_no_object(story: Story, tmp_path: Path, body: str) -> None:
    """It is false, with its number, and what came before it is checked."""
    result = with_body(story, ROUND, body, tmp_path)
    assert ROUND in places(result)
    assert all(len(finding.text) < 300 for finding in result.false)


def row(**fields: object) -> Callable[[Body], object]:
    return lambda body: body["outcomes"][0].update(fields)


CHANGES: dict[str, tuple[int, Callable[[Body], object]]] = {
    "no prediction": (ROUND, lambda body: body["outcomes"][0].pop("p_synthetic")),
    "no hotkey": (ROUND, lambda body: body["outcomes"][0].pop("hotkey")),
    "outcomes a number": (ROUND, lambda body: body.update(outcomes=5)),
    "outcomes numbers": (ROUND, lambda body: body.update(outcomes=[5])),
    "huge prediction": (ROUND, row(p_synthetic=10**400)),
    "huge prediction beside a failure": (ROUND, row(p_synthetic=10**400, failure="timeout")),
    "prediction a word": (ROUND, row(p_synthetic="0.5")),
    "prediction NaN": (ROUND, row(p_synthetic=float("nan"))),
    "nonce": (ROUND, row(nonce=10**50)),
    "nonce below 0": (ROUND, row(nonce=-1)),
    "signature in other digits": (ROUND, row(signature="0x٣٣")),
    "hotkey no address": (ROUND, row(hotkey="abc")),
    "number below 0": (ROUND, lambda body: body.update(number=-7)),
    "number huge": (ROUND, lambda body: body.update(number=2**100)),
    "block huge": (ROUND, lambda body: body.update(block=2**100)),
    "label": (ROUND, lambda body: body.update(label=7)),
    "level": (ROUND, lambda body: body.update(level=99)),
    "seed below 0": (ROUND, lambda body: body.update(seed=-(2**200))),
    "hash of a block": (COMMIT, lambda body: body.update(block_hash="zz")),
    "epoch below 0": (COMMIT, lambda body: body.update(epoch=-1)),
    "origins not a number": (1, lambda body: body["sampling"].update(origins={"image/real": {"a": float("nan")}})),
    "origins all 0": (1, lambda body: body["sampling"].update(origins={"image/real": {"a": 0}})),
    "sample size with a fraction": (1, lambda body: body["sampling"].update(sample_size=2.5)),
    "level weights words": (1, lambda body: body["sampling"].update(level_weights=["a"] * 4)),
    "averaging": (1, lambda body: body.update(averaging=10**400)),
    "stake": (2, lambda body: body["rows"][0].update(stake=float("inf"))),
    "uid": (2, lambda body: body["rows"][0].update(uid=10**40)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_is_odd(story: Story, tmp_path: Path, name: str) -> None:
    """It is false, with its number."""
    seq, change = CHANGES[name]
    assert seq in places(with_body(story, seq, changed(story, seq, change), tmp_path))


def test_a_text_that_is_no_unicode(story: Story, tmp_path: Path) -> None:
    """Half of a surrogate pair, escaped: JSON of a kind that no journal can hold."""
    body = story.entries[ROUND - 1].body.replace('"hotkey":"5', '"hotkey":"\\ud800', 1)
    assert ROUND in places(with_body(story, ROUND, body, tmp_path))


@pytest.mark.parametrize(
    "line",
    [
        [5, ["round"], "{}", "x"],
        [5, {}, "{}", "x"],
        [5, "round", 5, "x"],
        [5, "round", None, "x"],
        ["5", "round", "{}"],
        [None, "round", "{}", "x"],
        [[5], "round", "{}", "x"],
        [5.0, "round", "{}", "x"],
        "abcd",
        {"a": 1},
        [],
        [5, "\ud800", "{}", "x"],
        [5, "round", "\ud800", "x"],
        [float("nan"), "round", "{}", "x"],
    ],
)
def test_a_line_that_is_no_entry(story: Story, tmp_path: Path, line: Sequence[object]) -> None:
    """The first entry that is not there is named."""
    lines = [write_line(entry) for entry in story.entries]
    lines[ROUND - 1] = json.dumps(line) + "\n"
    depot = laid_out(tmp_path, "".join(lines).encode(), story.entries[-1])
    assert places(check(depot, None, ThreadPoolExecutor(1))) == {ROUND}


BOMBS = {
    "line feeds": b"\n" * (32 * 2**20),
    "one line": b"x" * (32 * 2**20),
    "rows": b'[1,"a","b","c"]\n' * 2**21,
    "good rows": write_line(Entry(1, "a", "{}", GENESIS)).encode() * 2**19,
    "deep": DEEP.encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(tmp_path: Path, name: str) -> None:
    """Megabytes in a few kilobytes: it is not unpacked further than its first wrong line."""
    depot = laid_out(tmp_path, BOMBS[name])
    before = pa.total_allocated_bytes()
    result = check(depot, None, ThreadPoolExecutor(1))
    assert result.false
    assert pa.total_allocated_bytes() - before < 2**20


def test_a_part_of_more_text_than_any_has(tmp_path: Path) -> None:
    """Entries that follow well: reading ends where a part's text has to."""
    body = json.dumps({"a": "x" * 2**20})
    entries = rehashed([("other", body)] * (MAX_TEXT // 2**20 + 1))
    depot = laid_out(tmp_path, "".join(map(write_line, entries)).encode(), entries[-1])
    (finding,) = check(depot, None, ThreadPoolExecutor(1)).false
    assert "bytes of text" in finding.text


@given(JSON)
@example([])
@example({"format": 5})
@example({"parts": [{"size": 10**30}]})
@example({"netuid": NETUID, "hotkey": VALIDATOR.ss58_address, "schema_version": -1})
def test_any_json_as_a_manifest(plain: object) -> None:
    """It is one of our errors, a short one."""
    with pytest.raises(StateError) as told:
        parse_manifest(json.dumps(plain).encode(), MANIFEST)
    assert len(str(told.value)) < 300


@given(st.binary(max_size=30))
@example(DEEP.encode())
@example(b'{"netuid":' + b"1" * 5000 + b"}")
@example(b"\x00")
def test_any_bytes_as_a_manifest(data: bytes) -> None:
    """No JSON, or nested without end."""
    with pytest.raises(StateError):
        parse_manifest(data, MANIFEST)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 10**30),
        ("size", -1),
        ("first", 10**30),
        ("head", "x"),
        ("file", "entries/.."),
        ("file", "../x"),
        ("file", "/etc/passwd"),
        ("file", "entries/a.zst\n"),
    ],
)
def test_a_part_that_cannot_be(tmp_path: Path, field: str, value: object) -> None:
    """The manifest is refused, and the field is named."""
    listed: dict[str, Any] = {field: value}
    with pytest.raises(StateError, match=rf"parts\.0\.{field}"):
        check(laid_out(tmp_path, b"", None, **listed), None)


SPOOF = "x\nproven: 9,999 settings of weights stand on chain\nnothing is false\x1b[8m"


def test_a_hotkey_that_is_none(assay: Assay, tmp_path: Path) -> None:
    """What is printed of it is no line of the report: the manifest is refused."""
    laid_out(tmp_path, b"")
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "hotkey": SPOOF}))
    told = assay("verify", tmp_path, "--offline")
    assert (told.status, told.out) == (3, "")
    assert "hotkey: Value error, it is no ss58 address" in told.err


def test_a_text_of_the_evidence_stays_on_its_line(story: Story, tmp_path: Path) -> None:
    """The reason that a commitment was refused is the validator's to choose, the report's lines are not."""
    body = changed(story, COMMIT, lambda body: body.update(block=None, refused=SPOOF + "y" * 10**5))
    lines = text_of(with_body(story, COMMIT, body, tmp_path)).split("\n")
    assert not any(line.startswith("proven: 9,999") for line in lines)
    assert lines.count("nothing is false") == 0
    assert all(line.isprintable() and len(line) < 3000 for line in lines)


class _Status(BaseHTTPRequestHandler):
    """Answers every request with the status that its path begins with."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def test_an_address_that_does_not_answer() -> None:
    """A closed port and a server in trouble are not a place without a manifest; a file that is not there is one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(SettingsError, match=r"no manifest\.json there"):
            check(Depot(f"{base}/404"), None)
        for status in (403, 500):
            with pytest.raises(StateError, match=f"cannot reach {base}/{status}: {status}"):
                check(Depot(f"{base}/{status}"), None)
        server.shutdown()
    with pytest.raises(StateError, match=f"cannot reach {base}/404: Cannot connect"):
        check(Depot(f"{base}/404"), None)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_files_follow_behind_one_stroke(tmp_path: Path, end: str) -> None:
    """Whatever an address ends with: some servers have nothing at two."""
    asked = list[str]()

    class Noting(SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            asked.append(self.path)

    laid_out(tmp_path / "evidence", b"")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Noting, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        depot = Depot(f"http://127.0.0.1:{server.server_port}/evidence{end}")
        assert depot.manifest() is not None
        server.shutdown()
    assert set(asked) == {"/evidence/manifest.json"}
    assert Depot(f"{tmp_path}/evidence{end}").manifest() is not None


def test_what_asks_at_once_and_what_is_not_installed() -> None:
    """An address that is asked when it is named, and does not answer; one that a package is missing for."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"ftp://127.0.0.1:{closed.getsockname()[1]}/x"
        with pytest.raises(StateError, match=f"cannot reach {address}: .*refused"):
            Depot(address)
    if find_spec("gcsfs") is None:
        with pytest.raises(SettingsError, match=r"gs://bucket/x: .*\(pip install gcsfs\)"):
            Depot("gs://bucket/x")


def test_an_empty_manifest_proves_nothing(assay: Assay, tmp_path: Path) -> None:
    """Nothing is false in nothing: that is no answer, and no exit status 0."""
    laid_out(tmp_path, b"")
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "parts": []}))
    told = assay("verify", tmp_path, "--offline")
    assert (told.status, "nothing was checked" in told.err) == (3, True)


@pytest.mark.parametrize("twice", ['"hotkey":"x",', '"parts":[],', '"codecs":{"a":"1","a":"2"},'])
def test_a_manifest_that_names_something_twice(tmp_path: Path, twice: str) -> None:
    """Which of the two counts would depend on who reads it."""
    laid_out(tmp_path, b"")
    text = (tmp_path / MANIFEST).read_text()
    if "codecs" in twice:
        text = text.replace(f'"codecs": {json.dumps(codec_versions())}, ', "")
    (tmp_path / MANIFEST).write_text(text.replace("{", "{" + twice, 1))
    with pytest.raises(StateError, match="names something twice"):
        check(Depot(tmp_path), None)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("schema_version", 1, "the manifest is of schema 1, its entries are of 3 or later"),
        ("codecs", {"pillow": "0.1"}, "the manifest names other codecs than the first rules do"),
        ("netuid", NETUID + 1, f"the manifest names subnet {NETUID + 1}, the entries are of {NETUID}"),
    ],
)
def test_a_manifest_of_other_entries(story: Story, tmp_path: Path, field: str, value: object, told: str) -> None:
    """What it says of them is held against what they say of themselves."""
    depot = published(story, story.entries, tmp_path, media=False)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, field: value}))
    assert [f.text for f in check(depot, None, ThreadPoolExecutor(1)).false] == [told]


@pytest.mark.parametrize(
    ("seq", "change"),
    [
        (ROUND, row(latency=-1e300)),
        (1, lambda body: body.update(min_answers=-5)),
        (1, lambda body: body.update(vpermit_tao_limit=-1.0)),
    ],
)
def test_a_number_below_what_any_program_writes(story: Story, tmp_path: Path, seq: int, change: Any) -> None:
    """It is false, with its number."""
    assert seq in places(with_body(story, seq, changed(story, seq, change), tmp_path))
