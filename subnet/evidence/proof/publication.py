"""What a validator publishes: finished parts of its journal, compressed, with a manifest. Pure but for the codec.

    manifest.json                                  what there is, with the sha256 of each file
    entries/000000000001-000000000214.jsonl.zst    lines of JSON, [seq, kind, body, hash]
    media/0123456789abcdef0123456789abcdef.item    items of the pool as they were asked

A part ends where an epoch does: with the commitment that reveals its secret. Before the first commitment, and where a
chain takes none, it ends with weights that the chain took. Parts are never changed; the manifest only grows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from subnet.errors import JournalBroken, StateError
from subnet.evidence.entry import Entry
from subnet.evidence.reader import SCHEMA
from subnet.evidence.records import COMMITMENT, WEIGHTS, CommitmentRecord, WeightsRecord, read_record
from subnet.types import Submission

FORMAT: Final = "assay-evidence/1"
MANIFEST: Final = "manifest.json"
PART_TEXT: Final = 16 * 2**20  # characters after which a part ends wherever it is
MAX_TEXT: Final = 2**30  # bytes that a part may hold; more is an attack on the reader's memory
_CHUNK: Final = 2**22


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=r"^(entries|media)/[A-Za-z0-9.-]+$")
    size: int = Field(ge=0)  # bytes
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Part(_Listed):
    """One file of entries `first` to `last`; `head` is the hash of the last."""

    first: int = Field(ge=1)
    last: int = Field(ge=1)
    head: str


class MediaFile(_Listed):
    """One item of the pool by its content's hash, which rounds name."""

    content: str


class Manifest(BaseModel):
    """Everything published of one validator's journal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["assay-evidence/1"] = FORMAT
    schema_version: int = SCHEMA  # of the journal
    netuid: int
    hotkey: str
    codecs: dict[str, str] = {}
    parts: tuple[Part, ...] = ()
    media: tuple[MediaFile, ...] = ()

    @property
    def last(self) -> int:
        """The last entry that is published, 0 for none."""
        return self.parts[-1].last if self.parts else 0


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Raises StateError for anything but a manifest, saying when it is of another version."""
    try:
        plain = json.loads(data)
        known = plain.get("format") if isinstance(plain, dict) else None
        if isinstance(known, str) and known.startswith("assay-evidence/") and known != FORMAT:
            raise StateError(f"{where} is of the format {known}, this version reads {FORMAT}: use another version")
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise StateError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        raise StateError(f"{where} is no manifest: {error}") from error
    if manifest.schema_version > SCHEMA:
        known = f"schema {manifest.schema_version}, this one knows {SCHEMA}"
        raise StateError(f"{where} is of a journal of a newer Assay ({known})")
    return manifest


@dataclass(frozen=True)
class PackedPart:
    """A part before it is written, and the contents of the items that its rounds asked."""

    part: Part
    data: bytes
    items: tuple[str, ...]


def pack_part(entries: Sequence[Entry]) -> PackedPart:
    """`entries` as one file. The same entries make the same bytes."""
    lines = "".join(json.dumps([e.seq, e.kind, e.body, e.hash], ensure_ascii=False) + "\n" for e in entries)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(lines.encode())
    data, first, last = sink.getvalue().to_pybytes(), entries[0], entries[-1]
    items = {item for e in entries if e.kind == "round" and (item := json.loads(e.body).get("item"))}
    part = Part(
        file=f"entries/{first.seq:012d}-{last.seq:012d}.jsonl.zst",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        first=first.seq,
        last=last.seq,
        head=last.hash,
    )
    return PackedPart(part, data, tuple(sorted(items)))


def unpack_part(part: Part, data: bytes) -> list[Entry]:
    """The entries, not yet checked against each other. Raises JournalBroken where the file does not fit its listing."""
    if (len(data), hashlib.sha256(data).hexdigest()) != (part.size, part.sha256):
        raise JournalBroken(f"{part.file} is not the file that the manifest lists: its sha256 differs")
    text = bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            while chunk := stream.read(_CHUNK):
                text += chunk
                if len(text) > MAX_TEXT:
                    raise ValueError(f"more than {MAX_TEXT:,} bytes of text")
        entries = [Entry(*row) for row in map(json.loads, text.decode().splitlines())]
    except (OSError, ValueError, TypeError) as error:
        raise JournalBroken(f"{part.file} does not read: {error}") from error
    if not entries or (entries[0].seq, entries[-1].seq, entries[-1].hash) != (part.first, part.last, part.head):
        raise JournalBroken(f"{part.file} does not hold entries {part.first}-{part.last} as the manifest says")
    return entries


def finished_parts(entries: Iterable[Entry], after: int) -> Iterator[PackedPart]:
    """Parts of a journal behind entry `after`: whole epochs only, so that nothing is told before it is revealed."""
    waiting: list[PackedPart] = []
    open_entries: list[Entry] = []
    size, committed = 0, False
    for entry in entries:
        committed = committed or (entry.kind == COMMITMENT and _stands(entry))
        if entry.seq <= after:
            continue
        open_entries.append(entry)
        size += len(entry.body)
        ends = _ends(entry, committed)
        if ends or size > PART_TEXT:
            waiting.append(pack_part(open_entries))
            open_entries, size = [], 0
        if ends:
            yield from waiting
            waiting = []


def _ends(entry: Entry, committed: bool) -> bool:
    if entry.kind == COMMITMENT:
        return _stands(entry)
    if entry.kind == WEIGHTS and not committed:
        return read_record(WeightsRecord, entry).submission is Submission.OK
    return False


def _stands(entry: Entry) -> bool:
    return read_record(CommitmentRecord, entry).block is not None
