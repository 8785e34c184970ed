"""Where a site's entries come from: the journal of a validator, running or not, or what one has published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from subnet.errors import JournalBroken, SettingsError
from subnet.evidence.entries.entry import Entry, chained
from subnet.evidence.entries.marks import Marks, marks_of
from subnet.evidence.entries.segments import FOLDER
from subnet.evidence.proof.depot import Depot
from subnet.evidence.proof.publication import MANIFEST, Manifest, Part, unpack_part
from subnet.evidence.reader import LIVE, JournalReader
from subnet.printing import without_credentials


class End(NamedTuple):
    """Number and hash of the last entry, and the marks of the files that hold it and those before it."""

    seq: int
    hash: str
    marks: Marks


class Source(Protocol):
    """Entries that only grow. Every method raises StateError where they cannot be read."""

    def end(self) -> End:
        """Where they end now."""

    def behind(self, last: Entry) -> Iterator[Entry]:
        """Entries behind `last`, each checked to follow. Raises JournalBroken where they do not follow from it."""

    def find(self, seq: int) -> Entry | None:
        """Entry `seq`, None where there is none."""

    def told(self, error: Exception) -> str:
        """An error as strangers may read it: without folders of this machine, and without credentials."""


@dataclass(frozen=True)
class JournalFile:
    """A validator's own file, with its finished parts beside it."""

    path: Path

    def end(self) -> End:
        marks = marks_of(
            self.path, self.path.parent / FOLDER
        )  # before it is read: what changes meanwhile is seen later
        with JournalReader(self.path) as reader:
            return End(reader.length, reader.tip, marks)

    def behind(self, last: Entry) -> Iterator[Entry]:
        with JournalReader(self.path) as reader:
            yield from reader.behind(last)

    def find(self, seq: int) -> Entry | None:
        with JournalReader(self.path) as reader:
            return reader.find(seq)

    def told(self, error: Exception) -> str:
        return str(error).replace(f"{self.path.parent}/", "")


@dataclass
class Published:
    """A folder or address that `assay publish` wrote to.

    The manifest of the last look is kept, and the file of the last part that an entry was looked up in: parts are never
    changed, and neighbours of that entry are asked for next.
    """

    address: str
    _manifest: Manifest | None = None
    _part: tuple[Part, bytes] | None = None

    def end(self) -> End:
        depot = Depot(self.address)
        self._manifest = manifest = _manifest(depot)
        parts = {part.file: (part.sha256, depot.mark(part.file)) for part in manifest.parts}
        return End(manifest.last, manifest.parts[-1].head if manifest.parts else "", Marks(parts=parts))

    def behind(self, last: Entry) -> Iterator[Entry]:
        depot = Depot(self.address)
        manifest = self._manifest or _manifest(depot)
        if manifest.last < last.seq:
            raise JournalBroken(f"{self.address} ends with entry {manifest.last}, and entry {last.seq} was read before")
        parts = tuple(part for part in manifest.parts if part.last > last.seq)
        entries = depot.parts(manifest.model_copy(update={"parts": parts}))
        yield from chained((entry for entry in entries if entry.seq > last.seq), last, self.address)

    def find(self, seq: int) -> Entry | None:
        manifest = self._manifest or _manifest(Depot(self.address))
        part = next((part for part in manifest.parts if part.first <= seq <= part.last), None)
        if part is None:
            return None
        known = self._part
        if known is None or known[0] != part:
            known = self._part = part, Depot(self.address).packed(part)
        return next((entry for entry in unpack_part(*known) if entry.seq == seq), None)

    def told(self, error: Exception) -> str:
        here = self.address.rstrip("/")
        text = str(error).replace(f"{here}/", "")
        return without_credentials(text if "://" in here else text.replace(here, Path(here).name))


def _manifest(depot: Depot) -> Manifest:
    manifest = depot.manifest()
    if manifest is None:
        raise JournalBroken(f"{depot.address} has no {MANIFEST}: nothing is published there")
    return manifest


def open_source(address: str) -> Source:
    """A journal.db, the folder that one lies in, or published evidence. Raises SettingsError for anything else."""
    path = Path(address)
    if "://" in address or (path / MANIFEST).is_file():
        return Published(address)
    file = path / LIVE if path.is_dir() else path
    if not file.is_file():
        raise SettingsError(f"JOURNAL {address}: neither a {LIVE}, nor a folder with one, nor published evidence")
    return JournalFile(file)
