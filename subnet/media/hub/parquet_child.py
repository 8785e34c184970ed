"""The process that reads strangers' parquet files for `subnet.media.hub.parquet`: a damaged one can end it, not us.

Arrow's C++ ends its whole process on some damage (`terminate called ... ParquetException`). So this one has nothing to
lose: no file, socket or variable of ours, an address space of its own, and bytes of the shard by asking for them. The
messages are those of `subnet.codec.sandbox_child`; a file is opened with OPEN, its rows asked for with
ROW, what stands in other columns beside them with ABOUT.
"""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import sys
from bisect import bisect_right
from itertools import accumulate
from typing import IO, Any

from subnet.codec.sandbox_child import READY, TOO_LARGE, UNREADABLE, receive, send
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.media.hub.columns import choose

OPEN, ROW, READ, DATA, GROUPS, ITEM, ABOUT = b"O", b"I", b"r", b"d", b"G", b"i", b"A"
SPAN = struct.Struct(">QQ")  # offset and length of what is asked for, in bytes
INDEX = struct.Struct(">Q")
MAX_GROUP = 1 << 30  # bytes of one row group's media column
MEMORY = 6 << 30  # address space, bytes: a group as it is stored, unpacked and as Python has it


class AskedFile(io.RawIOBase):
    """The shard as a file whose bytes are asked for from the parent, message by message."""

    def __init__(self, source: IO[bytes], sink: IO[bytes], size: int) -> None:
        self._source, self._sink, self._size, self._at = source, sink, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        if length == 0:
            return b""
        send(self._sink, READ, SPAN.pack(self._at, length))
        _, data = receive(self._source, length)
        self._at += len(data)
        return data


class Table:
    """One parquet file: one row group's media column is read at a time, and kept until another is asked for."""

    def __init__(self, file: AskedFile, column: str) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(file, memory_map=False, pre_buffer=False)
        leaves = [self._file.schema.column(i) for i in range(len(self._file.schema))]
        stored = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and not _is_text(leaf)]
        if not stored:
            names = ", ".join(self._file.schema_arrow.names)
            raise MediaUnreadable(f"no column with media; its columns are {names}")
        sizes = [self._file.metadata.row_group(g).num_rows for g in range(self._file.num_row_groups)]
        self._starts = [0, *accumulate(sizes)]
        heads = self._heads(stored) if len(stored) > 1 else {}
        self._column = choose(stored, _features(self._file.schema_arrow.metadata), column, heads)
        self.groups = [(a, b) for a, b in zip(self._starts, self._starts[1:], strict=False) if b > a]
        self._loaded: tuple[int, Any] = (-1, None)

    def read(self, index: int) -> bytes:
        """The bytes of row `index`. Raises MediaError for a row without any and for a group that is too large."""
        group = bisect_right(self._starts, index) - 1
        if not 0 <= group < len(self._starts) - 1:
            raise MediaUnreadable(f"there is no row {index}")
        if self._loaded[0] != group:
            self._loaded = (-1, None)
            self._loaded = (group, self._load(group))
        value = _first_bytes(self._loaded[1][index - self._starts[group]].as_py())
        if not value:
            raise MediaUnreadable(f"row {index} holds no bytes")
        return value

    def about(self, row: int, names: list[str]) -> list[dict[str, Any]]:
        """What the columns `names`, as far as they are there, say in the group that begins with `row`.

        A number that the metadata gives a name, as of a class, is told by that name.
        """
        schema = self._file.schema_arrow
        there = [name for name in names if name in schema.names and name != self._column.partition(".")[0]]
        group = bisect_right(self._starts, row) - 1
        if not there:
            return [{}] * (self._starts[group + 1] - self._starts[group])
        rows: list[dict[str, Any]] = self._file.read_row_group(group, columns=there, use_threads=False).to_pylist()
        classes = {name: _class_names(schema.metadata, name) for name in there}
        return [{name: _plain(value, classes[name]) for name, value in row.items()} for row in rows]

    def _load(self, group: int) -> Any:
        about = self._file.metadata.row_group(group)
        columns = [about.column(i) for i in range(about.num_columns)]
        size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == self._column)
        if size > MAX_GROUP:
            raise MediaTooLarge(f"row group {group} holds {size:,} bytes of media, over the cap of {MAX_GROUP:,}")
        return self._file.read_row_group(group, columns=[self._column], use_threads=False).column(0)

    def _heads(self, leaves: list[str]) -> dict[str, bytes]:
        """The first bytes of each leaf's first row."""
        group = next((g for g, size in enumerate(self._starts[1:]) if size), 0)
        heads = {}
        for leaf in leaves:
            self._column = leaf
            table = self._load(group)
            values = (_first_bytes(table[i].as_py()) for i in range(min(8, len(table))))
            heads[leaf] = next((value[:16] for value in values if value), b"")
        return heads


def _is_text(leaf: Any) -> bool:
    return leaf.logical_type.type in ("STRING", "ENUM", "JSON", "DECIMAL", "UUID", "BSON")


def _features(metadata: dict[bytes, bytes] | None) -> set[str]:
    """Columns that the hub's metadata says are images or videos."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (LookupError, TypeError, ValueError):
        return set()
    texts = {name: json.dumps(feature) for name, feature in features.items()} if isinstance(features, dict) else {}
    return {name for name, text in texts.items() if '"_type": "Image"' in text or '"_type": "Video"' in text}


def _class_names(metadata: dict[bytes, bytes] | None, name: str) -> list[str]:
    """The names that the hub's metadata gives the numbers of a column."""
    try:
        names = json.loads((metadata or {})[b"huggingface"])["info"]["features"][name]["names"]
    except (LookupError, TypeError, ValueError):
        return []
    return [str(each) for each in names] if isinstance(names, list) else []


def _plain(value: Any, names: list[str]) -> Any:
    """A value as JSON has it."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _first_bytes(value: Any) -> bytes:
    """The bytes in a value, however it is nested: of a list the first entry that has any."""
    if isinstance(value, bytes):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for part in parts if (found := _first_bytes(part))), b"")


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer OPEN with GROUPS and ROW with ITEM, or either with why not, until input ends."""
    import pyarrow

    table: Table | None = None
    while True:
        try:
            kind, payload = receive(source, 1 << 16)
        except EOFError:
            return
        try:
            if kind == OPEN:
                about = json.loads(payload)
                table = Table(AskedFile(source, sink, about["size"]), about["column"])
                send(sink, GROUPS, json.dumps(table.groups).encode())
            elif table is not None and kind == ABOUT:
                asked = json.loads(payload)
                send(sink, ITEM, json.dumps(table.about(asked["row"], asked["names"])).encode())
            elif table is not None:
                send(sink, ITEM, table.read(INDEX.unpack(payload)[0]))
        except MediaError as error:
            send(sink, TOO_LARGE if isinstance(error, MediaTooLarge) else UNREADABLE, str(error)[:2000].encode())
        except (pyarrow.ArrowException, OSError, ValueError, IndexError, MemoryError) as error:
            send(sink, UNREADABLE, (str(error) or type(error).__name__)[:2000].encode())


def main() -> None:
    """Serve standard input and output, confined, until input ends."""
    import pyarrow.parquet  # noqa: F401 - loaded before files are out of reach

    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    send(sink, READY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    serve(source, sink)


if __name__ == "__main__":
    main()
