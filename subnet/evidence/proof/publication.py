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
from functools import partial
from typing import Annotated, Final, Literal

import bittensor_core
import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from subnet.errors import JournalBroken, StateError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.lines import (
    HASH,
    MAX_LINE,
    MAX_SEQ,
    MAX_TEXT,
    first_wrong,
    most_text,
    names_twice,
    read_lines,
    write_line,
)
from subnet.evidence.reader import SCHEMA
from subnet.evidence.records import COMMITMENT, WEIGHTS, CommitmentRecord, Uid, WeightsRecord, read_record
from subnet.types import Submission

FORMAT: Final = "assay-evidence/1"
MANIFEST: Final = "manifest.json"
PART_TEXT: Final = 16 * 2**20  # bytes of lines after which a part ends wherever it is
MAX_ITEM: Final = 2**25  # bytes of a file of media: 170 frames of 256 by 256 pixels that nothing makes smaller
MAX_PARTS: Final = 2**15  # that a manifest may list; an epoch each 72 minutes makes 7,300 a year
MAX_MEDIA: Final = 2**15  # a round each 30 seconds makes 2,880 a day
MAX_MANIFEST: Final = 2**25  # bytes; twice what so many files take
_CHUNK: Final = 2**18
_OF_NAME: Final = r"[A-Za-z0-9-][A-Za-z0-9.-]*"


_Word = Annotated[str, Field(max_length=200)]


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=rf"^(entries|media)/{_OF_NAME}$", max_length=200)
    size: int = Field(ge=0, le=MAX_TEXT)  # bytes
    sha256: str = Field(pattern=HASH)


class Part(_Listed):
    """One file of entries `first` to `last`; `head` is the hash of the last."""

    first: int = Field(ge=1, le=MAX_SEQ)
    last: int = Field(ge=1, le=MAX_SEQ)
    head: str = Field(pattern=HASH)


class MediaFile(_Listed):
    """One item of the pool by its content's hash, which rounds name."""

    size: int = Field(ge=0, le=MAX_ITEM)
    content: str = Field(max_length=200)


def _ss58(hotkey: str) -> str:
    try:
        bittensor_core.Keypair(ss58_address=hotkey)
    except ValueError as error:
        raise ValueError("it is no ss58 address") from error
    return hotkey


class Manifest(BaseModel):
    """Everything published of one validator's journal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["assay-evidence/1"] = FORMAT
    schema_version: int = Field(default=SCHEMA, ge=1)  # of the journal
    netuid: Uid
    hotkey: Annotated[str, AfterValidator(_ss58)]
    codecs: dict[_Word, _Word] = Field(default={}, max_length=100)
    parts: tuple[Part, ...] = Field(default=(), max_length=MAX_PARTS)
    media: tuple[MediaFile, ...] = Field(default=(), max_length=MAX_MEDIA)  # the newest

    @property
    def last(self) -> int:
        """The last entry that is published, 0 for none."""
        return self.parts[-1].last if self.parts else 0


class _Format(BaseModel):
    """Which format and schema something is of that may not be a manifest of this version."""

    model_config = ConfigDict(extra="ignore")

    format: str = FORMAT
    schema_version: int = SCHEMA


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Raises StateError for anything but a manifest, saying when it is of another version."""
    if len(data) > MAX_MANIFEST:
        raise StateError(f"{where} is no manifest: it has more than {MAX_MANIFEST:,} bytes")
    try:
        said = _Format.model_validate_json(data)
        if said.format.startswith("assay-evidence/") and said.format != FORMAT:
            known = f"{said.format[:40]}, this version reads {FORMAT}"
            raise StateError(f"{where} is of the format {known}: use another version")
        if said.schema_version > SCHEMA:
            known = f"schema {said.schema_version}, this one knows {SCHEMA}"
            raise StateError(f"{where} is of a journal of a newer Assay ({known})")
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise StateError(f"{where} is no manifest: {first_wrong(error)}") from error
    if names_twice(data.decode()):
        raise StateError(f"{where} is no manifest: it holds an object that names something twice")
    return manifest


@dataclass(frozen=True)
class PackedPart:
    """A part before it is written, and the contents of the items that its rounds asked."""

    part: Part
    data: bytes
    items: tuple[str, ...]


def pack_part(entries: Sequence[Entry]) -> PackedPart:
    """`entries` as one file. The same entries make the same bytes. Raises StateError for one that nobody may read."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(b"".join(map(_line, entries)))
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


def pack_parts(entries: Sequence[Entry]) -> Iterator[PackedPart]:
    """`entries` as one file, or as several where they repeat so much that nobody would unpack them."""
    packed, text = pack_part(entries), sum(len(_line(entry)) for entry in entries)
    if text <= most_text(packed.part.size) or len(entries) == 1:
        yield packed
        return
    half = len(entries) // 2
    yield from pack_parts(entries[:half])
    yield from pack_parts(entries[half:])


def _line(entry: Entry) -> bytes:
    line = write_line(entry).encode()
    if len(line) > MAX_LINE:
        raise StateError(f"entry {entry.seq} has {len(line):,} bytes, more than the {MAX_LINE:,} that anybody reads")
    return line


def unpack_part(part: Part, data: bytes) -> Iterator[Entry]:
    """The entries one after another, not yet checked against each other; no more than one line is held at a time.

    Raises JournalBroken where the file does not fit its listing.
    """
    if (len(data), hashlib.sha256(data).hexdigest()) != (part.size, part.sha256):
        raise JournalBroken(f"{part.file} is not the file that the manifest lists: its sha256 differs")
    last: Entry | None = None
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            for entry in read_lines(iter(partial(stream.read, _CHUNK), b""), part.size):
                if last is None and entry.seq != part.first:
                    break
                last = entry
                yield entry
    except (OSError, ValueError) as error:
        raise JournalBroken(f"{part.file} does not read: {error}") from error
    if last is None or (last.seq, last.hash) != (part.last, part.head):
        raise JournalBroken(f"{part.file} does not hold entries {part.first}-{part.last} as the manifest says")


def finished_parts(entries: Iterable[Entry], after: int) -> Iterator[PackedPart]:
    """Parts of a journal behind entry `after`: whole epochs only, so that nothing is told before it is revealed."""
    waiting: list[PackedPart] = []
    open_entries: list[Entry] = []
    size, committed = 0, False
    for entry in entries:
        committed = committed or (entry.kind == COMMITMENT and stands(entry))
        if entry.seq <= after:
            continue
        open_entries.append(entry)
        size += len(write_line(entry).encode())
        ends = ends_part(entry, committed)
        if ends or size > PART_TEXT:
            waiting += pack_parts(open_entries)
            open_entries, size = [], 0
        if ends:
            yield from waiting
            waiting = []


def ends_part(entry: Entry, committed: bool) -> bool:
    """Whether what is up to `entry` may be told: its epoch is over. `committed`: a commitment stood by then."""
    if entry.kind == COMMITMENT:
        return stands(entry)
    if entry.kind == WEIGHTS and not committed:
        return read_record(WeightsRecord, entry).submission is Submission.OK
    return False


def stands(entry: Entry) -> bool:
    """Whether a commitment stands on chain."""
    return read_record(CommitmentRecord, entry).block is not None
