"""Entries as lines of JSON, [seq, kind, body, hash], or rows of SQLite: the one door for entries of strangers. Pure.

Every entry that comes out is well formed: its number counts from 1, its kind is a short word, its body a JSON object
that is nested less than 200 deep, names nothing twice and holds no text that is not Unicode, its hash 32 bytes in
lower-case hex.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from subnet.evidence.entries.entry import Entry

MAX_LINE: Final = 4 * 2**20  # bytes; a round that asks 50 miners takes some 40,000
MAX_TEXT: Final = 64 * 2**20  # bytes of lines in one file, whatever it is compressed to
MAX_RATIO: Final = 100  # bytes of text to one compressed; a fifth to a tenth is usual, since hashes do not repeat
SMALL_TEXT: Final = 2**18  # bytes of text that a file of any size may hold
MAX_SEQ: Final = 2**63 - 1  # as on chain and in SQLite
HASH: Final = r"^[0-9a-f]{64}$"

_ROW: Final = TypeAdapter(
    tuple[
        Annotated[int, Field(ge=1, le=MAX_SEQ)],
        Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")],
        str,
        Annotated[str, Field(pattern=HASH)],
    ],
    config=ConfigDict(strict=True),
)


class _Body(BaseModel):
    """Any JSON object, whose values are looked at by whoever reads its kind."""

    model_config = ConfigDict(extra="ignore")


def write_line(entry: Entry) -> str:
    """The entry as JSON on one line, its line feed included."""
    return json.dumps([entry.seq, entry.kind, entry.body, entry.hash], ensure_ascii=False) + "\n"


def read_line(line: bytes) -> Entry:
    """The entry in a line. Raises ValueError for anything else, saying in a few words what is wrong."""
    if len(line) > MAX_LINE:
        raise ValueError(f"a line is longer than {MAX_LINE:,} bytes")
    try:
        row = _ROW.validate_json(line)
    except ValidationError as error:
        raise ValueError(f"a line is no entry: {first_wrong(error)}") from error
    return _entry(*row)


def read_row(row: Sequence[object]) -> Entry:
    """The entry in a row of a database. Raises ValueError as `read_line` does."""
    try:
        seq, kind, body, digest = _ROW.validate_python(tuple(row))
    except ValidationError as error:
        raise ValueError(f"a row is no entry: {first_wrong(error)}") from error
    if len(body) > MAX_LINE:
        raise ValueError(f"the body of entry {seq} is longer than {MAX_LINE:,} characters")
    return _entry(seq, kind, body, digest)


def _entry(seq: int, kind: str, body: str, digest: str) -> Entry:
    try:
        _Body.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(f"the body of entry {seq} is no JSON object: {first_wrong(error)}") from error
    if names_twice(body):
        raise ValueError(f"the body of entry {seq} holds an object that names something twice")
    return Entry(seq, kind, body, digest)


def names_twice(text: str) -> bool:
    """Whether an object in a JSON text has two values of one name: which counts would depend on who reads it."""
    twice = False

    def collect(pairs: list[tuple[str, object]]) -> None:
        nonlocal twice
        twice = twice or len(dict(pairs)) != len(pairs)

    json.loads(text, object_pairs_hook=collect, parse_int=str, parse_float=str)
    return twice


def read_lines(chunks: Iterable[bytes], packed: int) -> Iterator[Entry]:
    """The entries in the text of a compressed file of `packed` bytes, one line held at a time. Raises ValueError.

    What grows more than `MAX_RATIO` times, or beyond `MAX_TEXT`, is refused as soon as it does.
    """
    return map(read_line, split_lines(chunks, most_text(packed)))


def most_text(packed: int) -> int:
    """How many bytes of text are read of a compressed file of `packed` bytes."""
    return min(MAX_TEXT, SMALL_TEXT + MAX_RATIO * packed)


def split_lines(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Lines without their line feeds, out of `chunks` of a text of at most `most` bytes. Raises ValueError for more."""
    size, rest = 0, b""
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise ValueError(f"more than {most:,} bytes of text")
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE:
            raise ValueError(f"a line is longer than {MAX_LINE:,} bytes")
    if rest:
        yield rest


def first_wrong(error: ValidationError) -> str:
    """The first thing that is wrong, with its place, and without what was read."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
