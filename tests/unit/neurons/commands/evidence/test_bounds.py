"""What evidence may cost whoever checks it: time, memory and lines, whatever it is made of."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from neurons.commands.evidence.verify import check, media_findings
from subnet.errors import JournalBroken, StateError
from subnet.evidence import claim, planning, replay
from subnet.evidence.claim import Metagraphs, Sent, Settings, WeightsClaim
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.lines import write_line
from subnet.evidence.findings import Verdict
from subnet.evidence.planning import Epochs, Planned, planned
from subnet.evidence.proof import depot as depots
from subnet.evidence.proof import verify as proof
from subnet.evidence.proof.depot import Depot
from subnet.evidence.proof.publication import MANIFEST, MAX_ITEM, MAX_TEXT
from subnet.evidence.records import (
    MAX_NEURONS,
    ROUND,
    RULES,
    SETTING,
    SNAPSHOT,
    CommitmentRecord,
    RoundRecord,
    SettingRecord,
    SnapshotRecord,
    WeightsRecord,
)
from subnet.evidence.snapshots import Snapshots
from subnet.media.pool.item import _MAGIC
from subnet.types import Neuron, Submission
from tests.unit.neurons.commands.evidence.rig import NETUID, SAMPLING, Body, Story, checked, published, rewritten, tell
from tests.unit.neurons.commands.evidence.test_hostile_evidence import laid_out, rehashed


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("bounds-story"))


def item(media: bytes, fps: object = None, cell: str = "image/synthetic/here") -> tuple[str, bytes]:
    """The content and the file of an item that holds `media`, well formed but for what is odd in it."""
    digest = hashlib.sha256(media).hexdigest()
    provenance = {"source": "x", "item": "y", "licence": "z", "parameters": {}}
    header = {"id": f"{cell}/main/1", "sha256": digest, "fps": fps, "provenance": provenance}
    rest = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n" + media
    return digest[:32], _MAGIC + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def round_of(story: Story, content: str) -> Entry:
    entry = next(e for e in story.entries if e.kind == ROUND)
    return Entry(entry.seq, ROUND, json.dumps({**json.loads(entry.body), "item": content}), "")


@pytest.mark.parametrize("fps", [10**400, -(10**400), 0, -1, 1e300, "x", [], {}])
def test_a_header_whose_rate_is_odd(story: Story, fps: object) -> None:
    """One false line, and no traceback."""
    kept = next(story.kept.root.glob("*.item")).read_bytes().split(b"\n", 2)[2]
    content, data = item(kept, fps, "video/synthetic/here")
    (finding,) = media_findings(round_of(story, content), data)
    assert len(finding.text) < 400


def test_a_picture_larger_than_any_in_a_pool(story: Story) -> None:
    """It is refused by its header, before anything is decoded."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((4000, 4000, 3), np.uint8)).save(file, "PNG")
    content, data = item(file.getvalue())
    (finding,) = media_findings(round_of(story, content), data)
    assert "pixels" in finding.text


def snapshot(block: int, rows: int, *, whole: bool, size: int = MAX_NEURONS) -> SnapshotRecord:
    row = {"coldkey": "c", "stake": float(block), "permit": False, "serves": True}
    listed = [{"uid": uid, "hotkey": f"h{uid}", **row} for uid in range(rows)]
    return SnapshotRecord.model_validate_json(
        json.dumps({"netuid": NETUID, "block": block, "size": size, "whole": whole, "rows": listed})
    )


def test_one_row_of_a_large_subnet_costs_little() -> None:
    """Snapshots of one changed row each build no row anew that did not change."""
    snapshots, entry = Snapshots(), Entry(1, SNAPSHOT, "", "")
    snapshots.add(entry, snapshot(1, MAX_NEURONS, whole=True))
    deltas = [snapshot(block, 1, whole=False) for block in range(2, 102)]
    first = snapshots.at(1)
    for delta in deltas:
        snapshots.add(entry, delta)
    neurons = snapshots.at(101)
    assert first
    assert neurons
    assert all(now is before for now, before in zip(neurons[1:], first[1:], strict=True))
    assert [n.stake for n in neurons[:2]] == [101.0, 1.0]
    assert [n.uid for n in neurons] == list(range(MAX_NEURONS))


def test_a_hotkey_has_one_place() -> None:
    """Whether it came with the same snapshot or stood before; one that moves leaves its place to another."""
    entry = Entry(1, SNAPSHOT, "", "")
    row = {"coldkey": "c", "stake": 0.0, "permit": False, "serves": True}

    def delta(*named: tuple[int, str]) -> SnapshotRecord:
        listed = [{"uid": uid, "hotkey": hotkey, **row} for uid, hotkey in named]
        plain = {"netuid": NETUID, "block": 2, "size": 3, "whole": False, "rows": listed}
        return SnapshotRecord.model_validate_json(json.dumps(plain))

    for named, good in (((0, "h1"),), False), (((0, "h1"), (1, "h0")), True), (((0, "x"), (1, "x")), False):
        snapshots = Snapshots()
        snapshots.add(entry, snapshot(1, 3, whole=True, size=3))
        if good:
            snapshots.add(entry, delta(*named))
            assert [r.hotkey for _, r in sorted(snapshots.rows.items())] == ["h1", "h0", "h2"]
        else:
            with pytest.raises(JournalBroken, match="with a hotkey each"):
                snapshots.add(entry, delta(*named))


def test_more_neurons_than_a_subnet_has(story: Story, tmp_path: Path) -> None:
    """Rounds and snapshots of so many are refused, and read no further."""
    row = json.loads(next(e.body for e in story.entries if e.kind == ROUND))["outcomes"][0]
    body = json.loads(next(e.body for e in story.entries if e.kind == ROUND))
    body["outcomes"] = [
        {**row, "hotkey": f"{n}", "query": hashlib.sha256(f"{n}".encode()).hexdigest()} for n in range(MAX_NEURONS + 1)
    ]
    entries = rehashed([(story.entries[0].kind, story.entries[0].body), (ROUND, json.dumps(body))])
    result = checked(story, laid_out(tmp_path, "".join(map(write_line, entries)).encode(), entries[-1]))
    (finding,) = [finding for finding in result.false if finding.seq == 2]
    assert f"at most {MAX_NEURONS}" in finding.text


def test_reading_ends_where_very_much_is_false(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind a thousand false places is not read, and the report says so."""
    monkeypatch.setattr(proof, "ENOUGH", 20)
    body: Body = json.loads(next(e.body for e in story.entries if e.kind == ROUND))
    body["outcomes"] = [{**body["outcomes"][0], "score": 0.5, "hotkey": f"{n}"} for n in range(9)]
    entries = rehashed([(e.kind, e.body) for e in story.entries[:2]] + [(ROUND, json.dumps(body))] * 50)
    result = checked(story, laid_out(tmp_path, "".join(map(write_line, entries)).encode(), entries[-1]))
    assert max(finding.seq for finding in result.false) < 9
    assert any("so nothing behind was read" in finding.text for finding in result.false)


def test_media_is_left_alone_where_it_is_false(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making variants again is the dearest part: rounds behind some whose variants are false are not looked at."""
    monkeypatch.setattr(proof, "WRONG", 2)
    monkeypatch.setattr(proof, "MEDIA", 0)

    def other(entry: Entry, body: Body) -> Body:
        for outcome in body.get("outcomes", ()):
            outcome["query"] = "ab" * 32
        return body

    result = checked(story, published(story, rewritten(story.entries, other), tmp_path))
    assert sum("were sent another variant" in finding.text for finding in result.false) == 2
    assert any("it was not looked at, since 2 are false" in finding.text for finding in result.unproven)


def test_what_is_not_a_regular_file(story: Story, tmp_path: Path) -> None:
    """A pipe that nobody writes to, or a device without end, is not waited for."""
    depot = laid_out(tmp_path / "pipe", b"")
    (tmp_path / "pipe" / "entries" / "a.zst").unlink()
    os.mkfifo(tmp_path / "pipe" / "entries" / "a.zst")
    with pytest.raises(StateError, match=r"a\.zst is not a regular file"):
        check(depot, None)
    depot = laid_out(tmp_path / "device", b"")
    (tmp_path / "device" / MANIFEST).unlink()
    (tmp_path / "device" / MANIFEST).symlink_to("/dev/zero")
    with pytest.raises(StateError, match="is not a regular file"):
        check(depot, None)


class _Odd(BaseHTTPRequestHandler):
    """Says of its file what the path begins with."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "drip":
            self._answer(b"")
            for _ in range(40):
                self.wfile.write(b" ")
                time.sleep(0.1)
        else:
            self._answer(PACKED if kind == "gzip" else b"")
            time.sleep(0 if kind == "gzip" else 2)
        self.close_connection = True

    def _answer(self, body: bytes) -> None:
        packed = self.path.startswith("/gzip")
        self.send_response(200)
        self.send_header("Content-Length", str(len(PACKED) if packed else 2**62))
        self.send_header("Accept-Ranges", "bytes")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


PACKED = gzip.compress(b" " * 2**26)


@pytest.mark.parametrize("kind", ["silent", "drip", "gzip"])
def test_a_server_that_keeps_one_waiting(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says much and sends nothing, or a byte at a time; and one whose few bytes are many once unpacked."""
    monkeypatch.setattr(depots, "SILENCE", 0.5)
    monkeypatch.setattr(depots, "DEADLINE", 1.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(StateError):
            check(Depot(f"http://127.0.0.1:{server.server_port}/{kind}"), None)
        assert time.monotonic() - began < 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
        server.shutdown()


@pytest.mark.parametrize("kind", ["parts", "media"])
def test_a_file_that_is_said_to_be_large(tmp_path: Path, kind: str) -> None:
    """Nothing is read of what no part and no item can be."""
    laid_out(tmp_path, b"")
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    most = MAX_TEXT if kind == "parts" else MAX_ITEM
    media = {"file": "media/x.item", "size": 0, "sha256": "0" * 64, "content": "0" * 32}
    manifest = {**manifest, "media": [media]}
    manifest[kind][0]["size"] = most + 1
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(StateError, match=rf"{kind}\.0\.size"):
        check(Depot(tmp_path), None)


def kept(seq: int, hotkeys: Sequence[str], miners: Sequence[str]) -> Planned:
    """A round of an epoch, read from a text of its own."""
    row = {"p_synthetic": None, "failure": "timeout", "latency": 0, "status": None, "reason": "", "detector": None}
    rows = [{**row, "hotkey": h, "weights_hash": None, "query": "x" * 64, "score": 0} for h in hotkeys]
    plan = {"modality": "image", "label": 1, "origin": "here", "level": 0, "seed": 1}
    body = {
        "number": seq,
        "block": 1,
        **plan,
        "provenance": {"x": "y" * 1000},
        "void": "",
        "outcomes": rows,
        "epoch": 0,
    }
    neurons = [Neuron(n, json.loads(json.dumps(h)), "c", 0.0, permit=False) for n, h in enumerate(miners)]
    return planned(seq, RoundRecord.model_validate_json(json.dumps(body)), SAMPLING, neurons)


def standing_epochs() -> Epochs:
    """In which an epoch runs."""
    epochs, said = Epochs(Counter()), {"commitment": "ab" * 32, "revealed": None, "head": "cd" * 32, "seq": 1}
    record = CommitmentRecord.model_validate({"epoch": 0, **said, "block": 5, "block_hash": "ef" * 32})
    assert list(epochs.reveal(2, record, NETUID, "v")) == []
    return epochs


def test_rounds_that_wait_for_their_secret_share_what_they_name() -> None:
    """Of each only what its plan is held against is kept, and hotkeys are the same strings in all."""
    names = [f"miner {n}" for n in range(50)]
    epochs = standing_epochs()
    for seq in range(3, 23):
        assert list(epochs.plan(0, kept(seq, names, names))) == []
    waiting = epochs._waiting
    assert len({id(one.miners) for one in waiting}) == 1
    assert len({id(name) for one in waiting for name in (*one.asked, *(one.miners or ()))}) == len(names)


def test_an_epoch_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds are kept up to a bound; those behind it are not proven, each of them."""
    monkeypatch.setattr(planning, "MOST", 100)
    epochs, names = standing_epochs(), [f"miner {n}" for n in range(10)]
    told = [finding for seq in range(3, 23) for finding in epochs.plan(0, kept(seq, names, names))]
    assert [finding.seq for finding in told] == list(range(12, 23))
    assert {finding.text for finding in told} == {"plans: epoch 0 is so long that its last rounds were not kept"}


def test_metagraphs_that_change_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept up to a bound, and those that are alike once."""
    monkeypatch.setattr(claim, "ROWS", 12)
    metagraphs = Metagraphs()
    alike, other = ([Neuron(n, f"{name}{n}", "c", 0.0, permit=False) for n in range(4)] for name in "ab")
    told = [finding for seq in range(9) for finding in metagraphs.claim(seq, seq, tuple(alike), 1.0)]
    assert (told, len(metagraphs.claims), len({id(c.neurons) for c in metagraphs.claims})) == ([], 9, 1)
    told = [f for seq in range(9, 15) for f in metagraphs.claim(seq, seq, tuple(other if seq % 2 else alike), 1.0)]
    assert [finding.seq for finding in told] == [11, 12, 13, 14]
    assert [c.moved for c in metagraphs.claims] == [False] * 9 + [True] * 2


class Counted(list[WeightsClaim]):
    """Counts how often its items are looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        return super().__getitem__(place)


def test_settings_that_were_refused_are_not_looked_through() -> None:
    """However many there are behind the last that may stand, which ends where something else is done."""
    settings = Settings(lambda: None)
    settings.claims = looked = Counted()
    for attempt in range(100):
        fate = Submission.REJECTED if attempt else Submission.OK
        record = SettingRecord(block=10 + attempt, attempt=attempt, weights={})
        list(settings.begin(Sent(attempt, record, {}, 0)))
        sent = {"weights": {}, "code": None, "message": "", "attempt": attempt}
        list(settings.outcome(attempt, WeightsRecord(block=10 + attempt, submission=fate, **sent), Verdict.FALSE))
    assert looked.looks <= 300
    assert [c.settled for c in settings.claims] == [12] + [None] * 99


def test_more_hotkeys_than_any_subnet_has(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rules, too: a round of more than can be is false, and nobody's score follows from it."""
    monkeypatch.setattr(replay, "HOTKEYS", 3)
    rounds = [(e.kind, e.body) for e in story.entries if e.kind == ROUND][:8]
    entries = rehashed(rounds)
    result = checked(story, laid_out(tmp_path, "".join(map(write_line, entries)).encode(), entries[-1]))
    asked, false = set[str](), set[int]()
    for seq, (_, body) in enumerate(rounds, 1):
        fresh = asked | {row["hotkey"] for row in json.loads(body)["outcomes"]}
        asked, false = (asked, false | {seq}) if len(fresh) > 3 else (fresh, false)
    assert false
    assert {f.seq for f in result.false if "over 3 hotkeys would have scores" in f.text} == false


def test_one_hotkey_many_times_in_a_round(story: Story, tmp_path: Path) -> None:
    """Before any rules it is false as behind them."""
    body: Body = json.loads(next(e.body for e in story.entries if e.kind == ROUND))
    body["outcomes"] = [body["outcomes"][0]] * 4
    entries = rehashed([(ROUND, json.dumps(body))])
    result = checked(story, laid_out(tmp_path, "".join(map(write_line, entries)).encode(), entries[-1]))
    assert any("3 are asked twice, first " in finding.text for finding in result.false)


def test_clusters_are_not_computed_for_every_leap(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round numbers that go up by hundreds would each ask for clusters of their own."""
    monkeypatch.setattr(replay, "LEAPS", 1)

    def leaping(entry: Entry, body: Body) -> Body:
        if entry.kind == ROUND:
            body["number"] *= 100
        return body | {"share_places": True} if entry.kind == RULES else body

    result = checked(story, published(story, rewritten(story.entries, leaping), tmp_path, media=False))
    told = [f.seq for f in result.unproven if "leap so often that no clusters were computed" in f.text]
    assert told == [e.seq for e in story.entries if e.kind == SETTING][1:]
