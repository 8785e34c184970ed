"""One fact of the journal, and how it is tied to the one before it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from subnet.errors import JournalBroken

GENESIS = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One fact. `hash` = sha256(previous hash, kind, body), each ended by a line feed."""

    seq: int
    kind: str
    body: str  # JSON
    hash: str


BEGINNING = Entry(0, "", "", GENESIS)  # what the first entry follows from


def link(previous: str, kind: str, body: str) -> str:
    """The hash of an entry that follows `previous`."""
    return hashlib.sha256(f"{previous}\n{kind}\n{body}\n".encode()).hexdigest()


def chained(entries: Iterable[Entry], last: Entry, where: object) -> Iterator[Entry]:
    """`entries`, each checked to follow from the one before it, the first from `last`. Raises JournalBroken."""
    for entry in entries:
        if entry.seq != last.seq + 1 or entry.hash != link(last.hash, entry.kind, entry.body):
            raise JournalBroken(f"{where}: entry {last.seq + 1} does not follow from the one before it")
        last = entry
        yield entry
