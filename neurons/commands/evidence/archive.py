"""The file that `assay state` moves: a plain tar whose first member, state.json, says what is in it.

An archive may be a stranger's. It is read one chunk at a time; only plain files that state.json names are written, each
once, inside of the new folder, and nothing else in it is followed, unpacked or kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from subnet.errors import StateError
from subnet.evidence.entries.lines import HASH, MAX_SEQ, first_wrong
from subnet.evidence.reader import LIVE
from subnet.files import private_folder

FORMAT: Final = "assay-state/1"
CONTENTS: Final = "state.json"  # the first file of an archive: what is in it
BESIDE: Final = (".lock", "-wal", "-shm", "-journal")  # ends of names that belong to a running process
MAX_CONTENTS: Final = 2**23  # bytes
MAX_FILES: Final = 2**16  # a segment each 4 MiB of text: some six years of rounds
MAX_HEADER: Final = 2**16  # bytes of what stands before a member's data, long names included
LONGEST: Final = 255  # bytes of a file's name
_CHUNK: Final = 2**20
_KINDS: Final[tuple[tuple[str, Callable[[tarfile.TarInfo], bool]], ...]] = (
    ("a symbolic link", tarfile.TarInfo.issym),
    ("a hard link", tarfile.TarInfo.islnk),
    ("a folder", tarfile.TarInfo.isdir),
    ("a device", tarfile.TarInfo.isdev),
    ("a file with holes", tarfile.TarInfo.issparse),
)


class Contents(BaseModel):
    """What an archive says of itself: the journal's length and last hash, and the sha256 of each file by its name."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    format: str
    entries: int = Field(ge=0, le=MAX_SEQ)
    tip: str = Field(pattern=HASH)
    files: dict[str, str] = Field(max_length=MAX_FILES)
    netuid: int | None = None  # as the journal's rules say; None where it names none, or an older version wrote it
    hotkey: str | None = None


def pack(copy: Path, contents: Contents, archive: Path) -> None:
    """Write the files of `copy` that `contents` names. Raises OSError."""
    with tarfile.open(archive, "w") as tar:
        data = json.dumps(contents.model_dump(exclude_none=True), indent=1).encode()
        info = tarfile.TarInfo(CONTENTS)
        info.size, info.mode = len(data), 0o600
        tar.addfile(info, io.BytesIO(data))
        for name in contents.files:
            tar.add(copy / name, name)


def unpack(archive: Path, copy: Path) -> Contents:
    """Write every file below the folder `copy`; what the archive says of itself. Raises StateError."""
    size, free = archive.stat().st_size, shutil.disk_usage(copy).free
    if size > free:
        raise StateError(f"{archive} has {size:,} bytes, and {copy.parent.parent} {free:,} free: make room for it")
    try:
        with archive.open("rb") as raw:
            headers = _Headers(raw)
            with tarfile.open(fileobj=headers, mode="r:") as tar:
                members = _members(tar, headers)
                contents = _contents(archive, raw, next(members, None))
                _write(archive, raw, members, contents.files, copy)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise StateError(f"{archive} is no archive of a state, or cut off: {error}") from error
    except OSError as error:
        raise StateError(f"{archive} cannot be unpacked: {error.strerror or error}") from error
    return contents


class _Headers(io.RawIOBase):
    """A file of which `tarfile` reads headers only, and no more of them for one member than any of ours has."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._left = raw, MAX_HEADER

    def next_member(self) -> None:
        self._left = MAX_HEADER

    def read(self, size: int = -1, /) -> bytes:
        """Raises ValueError where a member's headers are too long."""
        self._left -= size
        if size < 0 or self._left < 0:
            raise ValueError(f"a file's headers take more than {MAX_HEADER:,} bytes")
        return self._raw.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()


def _members(tar: tarfile.TarFile, headers: _Headers) -> Iterator[tarfile.TarInfo]:
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # which it would keep of every member
        headers.next_member()
        yield info


def _contents(archive: Path, raw: BinaryIO, first: tarfile.TarInfo | None) -> Contents:
    if first is None or first.name != CONTENTS or not first.isreg() or first.size > MAX_CONTENTS:
        raise StateError(f"{archive} is no archive of a state: it does not begin with {CONTENTS}")
    try:
        contents = Contents.model_validate_json(b"".join(_chunks(raw, first)))
    except ValidationError as error:
        raise StateError(f"{archive}: {CONTENTS} does not read: {first_wrong(error)}") from error
    if contents.format != FORMAT:
        other = repr(contents.format[:40])[1:-1]
        raise StateError(f"{archive} is of the format {other}, this version reads {FORMAT}: use another version")
    wrong = [name for name in sorted(contents.files) if not _inside(name, contents.files)]
    if wrong or LIVE not in contents.files:
        names = repr(wrong[0][:LONGEST])[1:-1] if wrong else f"no {LIVE}"
        raise StateError(f"{archive} is no archive of a state: it names {names}")
    return contents


def _inside(name: str, files: Mapping[str, str]) -> bool:
    """Whether `name` is of a file in a folder, or in one below it, beside all other `files`, and of no process."""
    parts = name.split("/")
    known = all(part not in ("", ".", "..") and len(part.encode()) <= LONGEST for part in parts)
    ours = known and name.isprintable() and name != CONTENTS and not name.endswith(BESIDE)
    return ours and len(parts) <= 2 and (len(parts) == 1 or parts[0] not in files)


def _write(
    archive: Path, raw: BinaryIO, members: Iterator[tarfile.TarInfo], files: Mapping[str, str], copy: Path
) -> None:
    wanted = dict(files)
    for info in members:
        name = repr(info.name[:LONGEST])
        if kind := next((kind for kind, is_one in _KINDS if is_one(info)), ""):
            raise StateError(f"{archive} holds {name}, {kind}: a state consists of plain files")
        if info.name in files and info.name not in wanted:
            raise StateError(f"{archive} holds {name} twice")
        if not info.isreg() or info.name not in wanted:
            raise StateError(f"{archive} holds {name}, which its {CONTENTS} does not name")
        path = copy / info.name
        private_folder(path.parent)
        digest = hashlib.sha256()
        with path.open("xb") as file:
            path.chmod(0o600)
            for chunk in _chunks(raw, info):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != wanted.pop(info.name):
            raise StateError(f"{archive}: {info.name} is damaged; nothing of it was put to work")
    if wanted:
        raise StateError(f"{archive} is cut off: {min(wanted)} is missing")


def _chunks(raw: BinaryIO, info: tarfile.TarInfo) -> Iterator[bytes]:
    """The bytes of a member. Raises EOFError where the archive ends before it does."""
    raw.seek(info.offset_data)
    left = info.size
    if left < 0:
        raise ValueError("a file of less than no bytes")
    while left:
        chunk = raw.read(min(_CHUNK, left))
        if not chunk:
            raise EOFError(f"it ends inside of {info.name[:LONGEST]!r}")
        left -= len(chunk)
        yield chunk
