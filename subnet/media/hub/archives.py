"""Media files out of zip and tar archives that nobody vouches for: no escapes, links, bombs; nothing unpacked."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any

from subnet.codec.image import MAX_BYTES
from subnet.errors import MediaUnreadable, SubnetError
from subnet.media.folder import IMAGE_SUFFIXES, LITTER, VIDEO_SUFFIXES
from subnet.media.hub.columns import is_wanted
from subnet.types import Modality

MAX_RATIO = 10  # of unpacked to packed bytes: media does not compress
MAX_MEMBERS = 200_000


# What zipfile, tarfile and gzip raise for damaged bytes has no common base: this is the only list of its kind here.
# Names that are no UTF-8 are ValueErrors, packing that nobody knows a NotImplementedError.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


@contextmanager
def typed_damage(subject: str) -> Iterator[None]:
    """Inside, damage that a library finds is raised as MediaUnreadable, led by `subject`; our own errors pass."""
    try:
        yield
    except SubnetError:
        raise
    except _DAMAGE as error:
        raise MediaUnreadable(f"{subject}: {str(error) or type(error).__name__}") from error


def suffixes_of(modality: Modality) -> tuple[str, ...]:
    """File names that may hold `modality` end in one of these."""
    return IMAGE_SUFFIXES if modality is Modality.IMAGE else VIDEO_SUFFIXES


def _is_fair_name(name: str, modality: Modality, column: str) -> bool:
    """A relative path without steps upwards, not hidden or litter, with the suffix of media, and wanted."""
    path = PurePosixPath(name.replace("\\", "/"))
    escapes = path.is_absolute() or ".." in path.parts or ":" in name.partition("/")[0]
    litter = any(part.startswith(".") or part.lower() in LITTER for part in path.parts)
    return not escapes and not litter and path.suffix.lower() in suffixes_of(modality) and is_wanted(str(path), column)


class ZipShard:
    """Members of a zip file: the directory at its end is read, then single members where they lie."""

    def __init__(self, file: IO[bytes], modality: Modality, column: str = "") -> None:
        self._file = file
        self._archive = zipfile.ZipFile(file)
        members = self._archive.infolist()[:MAX_MEMBERS]
        self._members = [member for member in members if self._is_fair(member, modality, column)]
        self.groups: tuple[range, ...] = (range(len(self._members)),) if self._members else ()

    @staticmethod
    def _is_fair(member: zipfile.ZipInfo, modality: Modality, column: str) -> bool:
        plain = not member.flag_bits & 1 and member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        mode = member.external_attr >> 16
        ordinary = not member.is_dir() and (stat.S_IFMT(mode) in (0, stat.S_IFREG))
        fair = member.file_size <= min(MAX_BYTES, MAX_RATIO * max(1, member.compress_size))
        return plain and ordinary and fair and _is_fair_name(member.filename, modality, column)

    def read(self, index: int) -> tuple[str, bytes]:
        member = self._members[index]
        with typed_damage(f"the member {member.filename} is damaged"), self._archive.open(member) as file:
            return member.filename, file.read(MAX_BYTES)

    def close(self) -> None:
        self._archive.close()
        self._file.close()


class TarShard:
    """Members of a tar file, plain or by gzip: headers are walked once, data is read where it lies."""

    def __init__(self, file: IO[bytes], path: str, modality: Modality, column: str = "") -> None:
        file.seek(0)
        self._files: list[Any] = [file]
        if not path.lower().endswith(".tar"):
            packed = file.seek(0, io.SEEK_END)
            file.seek(0)
            self._files.append(_Bounded(file, packed))
        self._archive = tarfile.TarFile(fileobj=self._files[-1])
        self._members = []
        for count, member in enumerate(self._archive):
            if count >= MAX_MEMBERS:
                break
            fair = member.isreg() and not member.issparse() and 0 < member.size <= MAX_BYTES
            if fair and _is_fair_name(member.name, modality, column):
                self._members.append(member)
        self.groups: tuple[range, ...] = (range(len(self._members)),) if self._members else ()

    def read(self, index: int) -> tuple[str, bytes]:
        member = self._members[index]
        with typed_damage(f"the member {member.name} is damaged"):
            file = self._archive.extractfile(member)
            return member.name, file.read() if file else b""

    def close(self) -> None:
        self._archive.close()
        for file in reversed(self._files):
            file.close()


class _Bounded(gzip.GzipFile):
    """A gzip file that refuses to give more than MAX_RATIO times its packed bytes (at least 16 MiB)."""

    def __init__(self, file: IO[bytes], packed: int) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._limit = max(16 * 2**20, MAX_RATIO * packed)

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._check(self.tell())
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._check(offset)
        return super().seek(offset, whence)

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise OSError(f"it unpacks to over {MAX_RATIO} times its size")
