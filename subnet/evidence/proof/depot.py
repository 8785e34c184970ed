"""Where evidence is published: a folder, or any address that fsspec knows, such as s3://bucket/path or hf://datasets/me.

Files are written once. The manifest is replaced last, so that whoever reads meanwhile sees whole parts only.
"""

from __future__ import annotations

import hashlib
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import aiohttp
import fsspec
from fsspec.implementations.local import LocalFileSystem

from subnet.errors import JournalBroken, SettingsError, StateError
from subnet.evidence.binding import check_one_chain
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.marks import Mark, mark
from subnet.evidence.proof.publication import (
    MANIFEST,
    MAX_ITEM,
    MAX_MANIFEST,
    MAX_MEDIA,
    MAX_PARTS,
    Manifest,
    MediaFile,
    PackedPart,
    Part,
    finished_parts,
    parse_manifest,
    unpack_part,
)
from subnet.evidence.reader import SCHEMA
from subnet.evidence.records import RulesRecord

DEADLINE: Final = 300.0  # seconds for one file
SILENCE: Final = 30.0  # seconds without a byte over HTTP
PIECE: Final = 2**20  # bytes read at a time
_UNREACHABLE: Final = (aiohttp.ClientError, TimeoutError)
_NOT_THERE: Final = (404, 410)  # statuses of HTTP
_PACKAGE: Final = re.compile(r"[Ii]nstall ([\w.-]+)")  # as fsspec says what is missing

ReadMedia = Callable[[str], bytes | None]  # an item of the pool by its content's hash, None where it is gone


class Depot:
    """A place for published files, by names relative to it."""

    def __init__(self, address: str | Path) -> None:
        """Raises SettingsError for an address that nothing installed here can speak to, StateError for one that does
        not answer, as far as that is asked already.
        """
        self.address = str(address).rstrip("/")  # names follow behind a stroke
        try:
            self._fs: Any
            self._fs, root = fsspec.core.url_to_fs(str(address), **_options(self.address))
        except ImportError as error:
            package = _PACKAGE.search(str(error))
            fix = f" (pip install {package[1]})" if package else ""
            raise SettingsError(f"{address}: {error}{fix}") from error
        except ValueError as error:
            raise SettingsError(f"{address}: {error}") from error
        except OSError as error:
            raise StateError(f"cannot reach {self.address}: {error}") from error
        self._root = root.rstrip("/")

    def read(self, name: str, most: int) -> bytes | None:
        """The first `most` bytes and one more of the file `name`, None where there is none. Raises StateError."""
        try:
            path = f"{self._root}/{name}"
            if isinstance(self._fs, LocalFileSystem) and not stat.S_ISREG(Path(path).stat().st_mode):
                raise StateError(f"{self.address}/{name} is not a regular file")
            with self._fs.open(path, "rb") as file:
                data = _first(file, most + 1)
        except FileNotFoundError as error:
            why = error.__cause__  # fsspec calls everything that went wrong over HTTP a file that is not there
            if isinstance(why, _UNREACHABLE) and getattr(why, "status", None) not in _NOT_THERE:
                raise StateError(f"cannot reach {self.address}: {why}") from error
            return None
        except (OSError, *_UNREACHABLE) as error:
            raise StateError(f"{self.address}/{name} cannot be read: {error}") from error
        return data

    def mark(self, name: str) -> Mark | None:
        """What the disk says of a file here, None where this is no disk."""
        return mark(f"{self._root}/{name}") if isinstance(self._fs, LocalFileSystem) else None

    def write(self, name: str, data: bytes) -> None:
        """Raises StateError where it cannot be written."""
        path = f"{self._root}/{name}"
        try:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._fs.transaction, self._fs.open(path, "wb") as file:  # a local file appears whole
                file.write(data)
        except OSError as error:
            raise StateError(f"{self.address}/{name} cannot be written: {error}") from error

    def manifest(self) -> Manifest | None:
        """What is published here, None for nothing. Raises StateError for what is no manifest."""
        data = self.read(MANIFEST, MAX_MANIFEST)
        return None if data is None else parse_manifest(data, f"{self.address}/{MANIFEST}")

    def parts(self, manifest: Manifest) -> Iterator[Entry]:
        """All entries, part after part. Raises JournalBroken at a part that is not what the manifest lists."""
        for part in manifest.parts:
            yield from unpack_part(part, self.packed(part))

    def packed(self, part: Part) -> bytes:
        """The file of a part, not yet checked. Raises JournalBroken where it is not there."""
        data = self.read(part.file, part.size)
        if data is None:
            raise JournalBroken(f"{part.file} is listed in the manifest, and is not there")
        return data

    def media(self, listed: MediaFile) -> bytes:
        """Raises JournalBroken where it is not there, or not what the manifest lists."""
        data = self.read(listed.file, listed.size)
        if data is None or (len(data), hashlib.sha256(data).hexdigest()) != (listed.size, listed.sha256):
            raise JournalBroken(f"{listed.file} is not the file that the manifest lists")
        return data


def _options(address: str) -> dict[str, Any]:
    """Over HTTP a file is one answer as it is sent, whatever the server says of its size, within a time."""
    if not address.startswith(("http://", "https://")):
        return {}
    timeout = aiohttp.ClientTimeout(total=DEADLINE, sock_connect=SILENCE, sock_read=SILENCE)
    plain = {"headers": {"Accept-Encoding": "identity"}}
    return {"block_size": 0, "client_kwargs": {"auto_decompress": False, "timeout": timeout}, **plain}


def _first(file: BinaryIO, most: int) -> bytes:
    """At most so many bytes of a file that may give them bit by bit. Raises TimeoutError where that takes too long."""
    data, ends = bytearray(), time.monotonic() + DEADLINE
    while len(data) < most and (piece := file.read(min(most - len(data), PIECE))):
        data += piece
        if time.monotonic() > ends:
            raise TimeoutError(f"not read within {DEADLINE:.0f} seconds")
    return bytes(data)


def publish(
    depot: Depot, entries: Iterable[Entry], rules: RulesRecord, read_media: ReadMedia | None
) -> tuple[Manifest, int]:
    """Publish what is finished of a journal and not published yet; the manifest, and how many parts are new.

    Of media the newest `MAX_MEDIA` are listed. Raises StateError where the depot holds another journal, more of this
    one than `entries` has, or as many parts as a manifest may list; and where `entries` are of another chain from some
    commitment on, once what is before it is published.
    """
    manifest = depot.manifest() or Manifest(netuid=rules.netuid, hotkey=rules.hotkey, codecs=rules.codecs)
    if (manifest.netuid, manifest.hotkey) != (rules.netuid, rules.hotkey):
        whose = f"subnet {manifest.netuid}, hotkey {manifest.hotkey}"
        raise StateError(f"{depot.address} holds the evidence of {whose}: name another place")
    before = len(manifest.parts)
    for packed in finished_parts(_followed(depot, manifest, entries), manifest.last):
        if len(manifest.parts) >= MAX_PARTS:
            raise StateError(f"{depot.address} holds {MAX_PARTS:,} parts, and no manifest lists more: name a new place")
        depot.write(packed.part.file, packed.data)
        media = tuple(_media(depot, manifest, packed, read_media))
        manifest = manifest.model_copy(
            update={
                "schema_version": SCHEMA,
                "parts": (*manifest.parts, packed.part),
                "media": (*manifest.media, *media)[-MAX_MEDIA:],
            }
        )
        depot.write(MANIFEST, manifest.model_dump_json(indent=1).encode())
    return manifest, len(manifest.parts) - before


def _followed(depot: Depot, manifest: Manifest, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries, held against the last that is published."""
    last = highest = 0
    for entry in entries:
        last = entry.seq
        if last > manifest.last:
            highest = check_one_chain(entry, highest)
        if manifest.parts and entry.seq == manifest.last and entry.hash != manifest.parts[-1].head:
            raise StateError(f"{depot.address} holds another journal up to entry {entry.seq}: name another place")
        yield entry
    if last < manifest.last:
        raise StateError(
            f"{depot.address} holds entries up to {manifest.last}, the journal ends with {last}: it is an older copy"
        )


def _media(depot: Depot, manifest: Manifest, packed: PackedPart, read: ReadMedia | None) -> Iterator[MediaFile]:
    listed = {media.content for media in manifest.media}
    for content in packed.items if read else ():
        data = read(content) if read and content not in listed else None
        if data is None or len(data) > MAX_ITEM:
            continue
        name = f"media/{content}.item"
        depot.write(name, data)
        yield MediaFile(file=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), content=content)
