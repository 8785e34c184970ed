"""Finished parts of a journal: compressed files in a folder, each named by its first and last entry.

A segment is lines of JSON, [seq, kind, body, hash], in a bzip2 file: `bzcat` and `jq` read it. It is written whole and
synced before the live file drops what it holds, and never changed after. What a round's text is mostly made of, keys,
hotkeys, hashes of weights, repeats from round to round; the part that does not (hashes of variants, answers, scores) is
what remains. bzip2 makes a fifth of the text, in 0.2 s a MiB; xz takes four times as long for 10 % less, zlib makes a
third. Measured by `benchmarks/journal.py`.
"""

from __future__ import annotations

import bz2
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from subnet.errors import JournalBroken, StateError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.lines import most_text, read_line, split_lines, write_line
from subnet.files import private_folder, write_atomically

FOLDER = "segments"  # beside the live file, unless a setting names another
_CHUNK: Final = 2**18  # bytes
_NAME = re.compile(r"(\d{12})-(\d{12})\.jsonl\.bz2")


@dataclass(frozen=True, order=True)
class Segment:
    """A finished part: entries `first` to `last`, both included."""

    first: int
    last: int
    path: Path


def is_segment(name: str) -> bool:
    """Whether a file of this name is a finished part."""
    return _NAME.fullmatch(name) is not None


def list_segments(folder: Path) -> list[Segment]:
    """All segments in `folder`, in order; other files are passed over. Raises StateError for a folder that is shut."""
    try:
        names = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(f"the folder of segments {folder} cannot be read: {error.strerror}") from error
    return sorted(Segment(int(match[1]), int(match[2]), path) for path, match in names if match)


def write_segment(folder: Path, entries: Iterable[Entry]) -> Segment:
    """Write `entries`, at least one, as one segment, on disk when this returns, and read it back. Raises StateError.

    One entry is held at a time, and the compressed bytes.
    """
    packer, packed, written, first, last = bz2.BZ2Compressor(), bytearray(), hashlib.sha256(), 0, 0
    for entry in entries:
        line = write_line(entry).encode()
        packed += packer.compress(line)
        written.update(line)
        first, last = first or entry.seq, entry.seq
    packed += packer.flush()
    segment = Segment(first, last, folder / f"{first:012d}-{last:012d}.jsonl.bz2")
    try:
        private_folder(folder)
        write_atomically(segment.path, bytes(packed), mode=0o600)
    except OSError as error:
        raise StateError(f"the segment {segment.path} cannot be written: {error.strerror}") from error
    back = hashlib.sha256()
    for entry in read_segment(segment):
        back.update(write_line(entry).encode())
    if back.digest() != written.digest():
        raise StateError(f"the segment {segment.path} does not read back as it was written: is its disk failing?")
    return segment


def read_segment(segment: Segment) -> Iterator[Entry]:
    """Its entries, one after another. Raises JournalBroken where it is damaged or not what its name says."""
    seq = segment.first - 1
    with _lines(segment) as lines:
        for entry in map(read_line, lines):
            seq = entry.seq
            yield entry
    if seq != segment.last:
        raise JournalBroken(f"the segment {segment.path} ends with entry {seq}; restore a copy of it")


def find_in_segment(segment: Segment, seq: int) -> Entry | None:
    """Entry `seq` alone, None where there is none: only its own line is looked at. Raises JournalBroken."""
    with _lines(segment) as lines:
        return next((read_line(line) for line in lines if line.startswith(b"[%d," % seq)), None)


@contextmanager
def _lines(segment: Segment) -> Iterator[Iterator[bytes]]:
    """The lines of a segment; what goes wrong while they are read leaves as JournalBroken that names the file."""
    try:
        with bz2.open(segment.path) as file:
            yield split_lines(iter(partial(file.read, _CHUNK), b""), most_text(segment.path.stat().st_size))
    except (OSError, EOFError, ValueError) as error:
        raise JournalBroken(f"the segment {segment.path} is damaged: {error}; restore a copy of it") from error


def read_finished(folder: Path, until: int) -> Iterator[Entry]:
    """Entries from the first to number `until`, from segment to segment, as far as they go without a gap."""
    by_first = {segment.first: segment for segment in list_segments(folder) if segment.last <= until}
    last = 0
    while (segment := by_first.get(last + 1)) is not None:
        yield from read_segment(segment)
        last = segment.last


def last_entry(folder: Path, seq: int) -> Entry:
    """Entry `seq`, with which a segment ends. Raises JournalBroken where there is none, or a damaged one."""
    for segment in list_segments(folder):
        if segment.last == seq:
            *_, last = read_segment(segment)
            return last
    raise JournalBroken(missing(folder, seq))


def missing(folder: Path, last: int) -> str:
    """What to say where the segments do not reach up to entry `last`."""
    return f"no segment in {folder} ends with entry {last}: put the finished part back, or name its folder (--segments)"
