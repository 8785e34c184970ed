"""Items out of parquet, zip and tar files at random, without unpacking or loading them, and without trusting them.

Works on any seekable file, on the hub as on disk. Members that would escape, link, or blow up are passed over.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import IO, Protocol

from subnet.codec.image import MAX_BYTES
from subnet.errors import MediaTooLarge, MediaUnreadable
from subnet.media.hub.archives import TarShard, ZipShard, suffixes_of, typed_damage
from subnet.media.hub.parquet import ParquetShard
from subnet.types import Modality

_KINDS = {".parquet": "parquet", ".zip": "zip", ".tar": "tar", ".gz": "tar", ".tgz": "tar"}


class OpenShard(Protocol):
    """Items of one file. `groups` holds ranges of indices that are cheap to read one after another."""

    groups: tuple[range, ...]

    def read(self, index: int) -> tuple[str, bytes]:
        """Name and bytes of item `index`. Raises MediaUnreadable or MediaTooLarge for this item alone."""

    def close(self) -> None: ...


def kind_of(path: str, modality: Modality) -> str | None:
    """parquet, zip or tar by the suffix of `path`; "file" for plain media of `modality`; None for anything else."""
    pure = PurePosixPath(path.lower())
    if pure.suffix == ".gz" and not pure.name.endswith(".tar.gz"):
        return None
    if pure.suffix in _KINDS:
        return _KINDS[pure.suffix]
    return "file" if pure.suffix in suffixes_of(modality) else None


def open_shard(file: IO[bytes], path: str, modality: Modality, column: str = "") -> OpenShard:
    """The shard in `file`, by the suffix of `path`. Raises MediaUnreadable, naming it, when it is not what it says.

    `column` names the column with the media, or the members of an archive; without it the likeliest are taken, and
    masks, depth maps and the like are not.
    """
    with ExitStack() as on_failure:
        on_failure.callback(file.close)
        with typed_damage(f"the shard {path} cannot be opened"):
            shard = _open(file, path, modality, column)
        if not shard.groups:
            raise MediaUnreadable(f"the shard {path} has no {modality} in it that could be taken")
        on_failure.pop_all()
        return shard


def _open(file: IO[bytes], path: str, modality: Modality, column: str) -> OpenShard:
    kind = kind_of(path, modality)
    if kind == "parquet":
        return ParquetShard(file, path, column)
    if kind == "zip":
        return ZipShard(file, modality, column)
    if kind == "tar":
        return TarShard(file, path, modality, column)
    if kind == "file":
        return FileShard(file, path)
    raise MediaUnreadable(f"{path} is no shard of a known kind: parquet, zip, tar, tar.gz, or plain {modality} files")


class FileShard:
    """A plain media file as a shard of one item."""

    groups: tuple[range, ...] = (range(1),)

    def __init__(self, file: IO[bytes], path: str) -> None:
        self._file, self._path = file, path

    def read(self, index: int) -> tuple[str, bytes]:
        self._file.seek(0)
        data = self._file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise MediaTooLarge(f"{self._path} is over {MAX_BYTES} bytes")
        return self._path, data

    def close(self) -> None:
        self._file.close()
