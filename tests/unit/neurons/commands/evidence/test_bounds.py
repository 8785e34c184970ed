"""What evidence may cost whoever checks it: time, memory and lines, whatever it is made of."""

from __future__ import annotations

import hashlib
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurons.commands.evidence.verify import media_findings
from subnet.errors import JournalBroken
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.lines import write_line
from subnet.evidence.proof import verify as proof
from subnet.evidence.records import MAX_NEURONS, ROUND, SNAPSHOT, SnapshotRecord
from subnet.evidence.snapshots import Snapshots
from subnet.media.pool.item import _MAGIC
from tests.unit.neurons.commands.evidence.rig import NETUID, Body, Story, checked, published, rewritten, tell
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
    began = time.process_time()
    (finding,) = media_findings(round_of(story, content), data)
    assert "pixels" in finding.text
    assert time.process_time() - began < 0.5


def snapshot(block: int, rows: int, *, whole: bool, size: int = MAX_NEURONS) -> SnapshotRecord:
    row = {"coldkey": "c", "stake": float(block), "permit": False, "serves": True}
    listed = [{"uid": uid, "hotkey": f"h{uid}", **row} for uid in range(rows)]
    return SnapshotRecord.model_validate_json(
        json.dumps({"netuid": NETUID, "block": block, "size": size, "whole": whole, "rows": listed})
    )


def test_one_row_of_a_large_subnet_costs_little() -> None:
    """Snapshots of one changed row each are not paid for by all the rows that did not change."""
    snapshots, entry = Snapshots(), Entry(1, SNAPSHOT, "", "")
    snapshots.add(entry, snapshot(1, MAX_NEURONS, whole=True))
    deltas = [snapshot(block, 1, whole=False) for block in range(2, 102)]
    began = time.process_time()
    for delta in deltas:
        snapshots.add(entry, delta)
    assert time.process_time() - began < 1.0
    neurons = snapshots.at(101)
    assert neurons
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
    body["outcomes"] = [{**row, "hotkey": f"{n}"} for n in range(MAX_NEURONS + 1)]
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
