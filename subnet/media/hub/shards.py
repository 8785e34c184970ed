"""Items out of parquet, zip and tar files at random, without unpacking or loading them, and without trusting them.

Works on any seekable file, on the hub as on disk. Members that would escape, link, or blow up are passed over.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack
from itertools import accumulate
from pathlib import PurePosixPath
from typing import IO, Any, Protocol

from subnet.codec.image import MAX_BYTES
from subnet.errors import MediaTooLarge, MediaUnreadable
from subnet.media.hub.archives import TarShard, ZipShard, suffixes_of, typed_damage
from subnet.types import Modality

MAX_GROUP = 1 << 30  # bytes of one parquet row group's media column
_NAMES = ("image", "video", "img", "jpg", "png", "webp", "mp4", "bytes", "content", "data")
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


def open_shard(file: IO[bytes], path: str, modality: Modality) -> OpenShard:
    """The shard in `file`, by the suffix of `path`. Raises MediaUnreadable, naming it, when it is not what it says."""
    with ExitStack() as on_failure:
        on_failure.callback(file.close)
        with typed_damage(f"the shard {path} cannot be opened"):
            shard = _open(file, path, modality)
        if not shard.groups:
            raise MediaUnreadable(f"the shard {path} has no {modality} in it that could be taken")
        on_failure.pop_all()
        return shard


def _open(file: IO[bytes], path: str, modality: Modality) -> OpenShard:
    kind = kind_of(path, modality)
    if kind == "parquet":
        return ParquetShard(file, path)
    if kind == "zip":
        return ZipShard(file, modality)
    if kind == "tar":
        return TarShard(file, path, modality)
    if kind == "file":
        return FileShard(file, path)
    raise MediaUnreadable(f"{path} is no shard of a known kind: parquet, zip, tar, tar.gz, or plain {modality} files")


class ParquetShard:
    """Rows of a parquet file: one row group's media column is read at a time, and kept until another is asked for."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        import pyarrow
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(file)
        except pyarrow.ArrowException as error:
            raise MediaUnreadable(f"the shard {path} cannot be opened: {error}") from error
        self._column = _media_column(self._file.schema_arrow, path)
        sizes = [self._file.metadata.row_group(g).num_rows for g in range(self._file.num_row_groups)]
        self._starts = [0, *accumulate(sizes)]
        self.groups = tuple(range(a, b) for a, b in zip(self._starts, self._starts[1:], strict=False) if b > a)
        self._loaded: tuple[int, Any] = (-1, None)

    def read(self, index: int) -> tuple[str, bytes]:
        group = bisect_right(self._starts, index) - 1
        if self._loaded[0] != group:
            self._loaded = (group, self._load(group))
        value = self._loaded[1][index - self._starts[group]].as_py()
        if not value:
            raise MediaUnreadable(f"row {index} holds no bytes")
        return f"row {index}", bytes(value)

    def _load(self, group: int) -> Any:
        import pyarrow

        about = self._file.metadata.row_group(group)
        columns = [about.column(i) for i in range(about.num_columns)]
        size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == self._column)
        if size > MAX_GROUP:
            raise MediaTooLarge(f"row group {group} holds {size:,} bytes of media, over the cap of {MAX_GROUP:,}")
        try:
            column = self._file.read_row_group(group, columns=[self._column], use_threads=False).column(0)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise MediaUnreadable(f"row group {group} cannot be read: {error}") from error
        if "." in self._column:
            column = column.combine_chunks().field(self._column.rpartition(".")[2])
        return column

    def close(self) -> None:
        self._loaded = (-1, None)
        self._file.close(force=True)


def _media_column(schema: Any, path: str) -> str:
    """The column with encoded media: binary, or a struct with a field `bytes`; the likeliest name first."""
    import pyarrow.types as kinds

    found: list[str] = []
    for field in schema:
        if kinds.is_binary(field.type) or kinds.is_large_binary(field.type):
            found.append(field.name)
        elif kinds.is_struct(field.type) and any(child.name == "bytes" for child in field.type):
            found.append(f"{field.name}.bytes")
    if not found:
        raise MediaUnreadable(f"{path} has no column with media; its columns are {', '.join(schema.names)}")
    order = {name: rank for rank, name in enumerate(_NAMES)}
    return min(found, key=lambda name: order.get(name.removesuffix(".bytes").lower(), len(order)))


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
