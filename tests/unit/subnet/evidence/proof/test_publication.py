"""What is published stays within what anybody reads: a line, a part, and what a manifest lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from subnet.errors import StateError
from subnet.evidence.entries.entry import GENESIS, Entry
from subnet.evidence.entries.lines import MAX_LINE
from subnet.evidence.proof.depot import Depot, publish
from subnet.evidence.proof.publication import (
    MANIFEST,
    MAX_MANIFEST,
    MAX_MEDIA,
    MAX_PARTS,
    Manifest,
    MediaFile,
    Part,
    finished_parts,
    pack_part,
    parse_manifest,
    unpack_part,
)
from subnet.evidence.records import WEIGHTS, WeightsRecord, rules_record
from subnet.game.sampling import Sampling
from subnet.types import Submission

HOTKEY = "5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM"  # of 32 zeros
PART = Part(
    file="entries/000000000001-000000000001.jsonl.zst", size=10**6, sha256=GENESIS, first=1, last=1, head=GENESIS
)
MEDIA = MediaFile(file=f"media/{GENESIS}.item", size=10**6, sha256=GENESIS, content=GENESIS)


def full(parts: int, media: int) -> bytes:
    manifest = Manifest(netuid=34, hotkey=HOTKEY)
    listed = {"parts": [PART.model_dump()] * parts, "media": [MEDIA.model_dump()] * media}
    return json.dumps({**manifest.model_dump(), **listed}, indent=1).encode()


def test_a_full_manifest_reads() -> None:
    """As many parts and media as may be listed fit into as many bytes as are read."""
    data = full(MAX_PARTS, MAX_MEDIA)
    assert len(data) < MAX_MANIFEST
    assert len(parse_manifest(data, MANIFEST).media) == MAX_MEDIA


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (full(MAX_PARTS + 1, 0), "parts: "),
        (full(0, MAX_MEDIA + 1), "media: "),
        (b" " * (MAX_MANIFEST + 1), "more than 33,554,432 bytes"),
        (json.dumps({"netuid": 1, "hotkey": HOTKEY, "codecs": {str(n): "" for n in range(101)}}).encode(), "codecs: "),
        (json.dumps({"netuid": 1, "hotkey": HOTKEY, "codecs": {"a": "b" * 201}}).encode(), r"codecs\.a: "),
    ],
    ids=["parts", "media", "bytes", "codecs", "codec"],
)
def test_more_than_a_manifest_lists(data: bytes, why: str) -> None:
    """Refused, and the field is named."""
    with pytest.raises(StateError, match=why):
        parse_manifest(data, MANIFEST)


def test_an_entry_that_nobody_would_read_is_not_published() -> None:
    """A stranger's program reads lines of a certain length: the publisher is told, not the stranger."""
    with pytest.raises(StateError, match=r"entry 7 has 4,194,\d+ bytes"):
        pack_part([Entry(7, "fact", json.dumps({"a": "x" * MAX_LINE}), GENESIS)])


def test_what_repeats_is_published_in_parts_that_read() -> None:
    """A supervisor that starts a validator sixty times in one epoch: each time it writes down the same metagraph."""
    rng, entries = Random(1), list[Entry]()
    rows = [{"uid": uid, "hotkey": rng.randbytes(32).hex(), "coldkey": rng.randbytes(32).hex()} for uid in range(256)]
    for number in range(60):
        body = json.dumps({"block": number, "rows": rows, "state": rng.randbytes(32).hex()})
        entries.append(Entry(number + 1, "snapshot", body, rng.randbytes(32).hex()))
    ok = WeightsRecord(block=1, weights={}, submission=Submission.OK, code=None, message="")
    entries.append(Entry(61, WEIGHTS, ok.model_dump_json(), rng.randbytes(32).hex()))
    parts = list(finished_parts(entries, 0))
    assert [entry for packed in parts for entry in unpack_part(packed.part, packed.data)] == entries


def test_a_full_place_is_told(tmp_path: Path) -> None:
    """No part is written that no manifest could list."""
    (tmp_path / MANIFEST).write_bytes(full(MAX_PARTS, 0))
    rules = rules_record(34, HOTKEY, Sampling(), vpermit_tao_limit=1.0, min_answers=1)

    def entries() -> Iterator[Entry]:
        yield Entry(1, "fact", "{}", GENESIS)
        ok = WeightsRecord(block=1, weights={}, submission=Submission.OK, code=None, message="")
        yield Entry(2, WEIGHTS, ok.model_dump_json(), GENESIS)

    with pytest.raises(StateError, match="name a new place"):
        publish(Depot(tmp_path), entries(), rules, None)
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]
