"""Items of any data set as shards of parquet or tar, with what shows the same side by side."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, stored_bytes
from detectors.dataset.shards import shards_below
from subnet.errors import DataError, MediaError, SettingsError
from subnet.files import write_atomically
from subnet.game.sampling import derive
from subnet.media.dataset_folder import EPOCH

Kind = Literal["parquet", "tar"]
GROUP = 100  # rows of parquet that are read together


def write_shards(
    records: Sequence[DatasetItem],
    out: Path,
    *,
    kind: Kind = "parquet",
    each: int = 2000,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Shards of about `each` items below `out`, which must not hold any.

    Contents, and the items of each, come in an order that the seed gives, so that no number tells a label. The same
    records and seed give the same bytes. Raises SettingsError, and DataError naming an item that cannot be read.
    """
    if each < 1:
        raise SettingsError(f"--each must be at least 1, not {each}")
    if out.is_dir() and shards_below(out):
        raise SettingsError(f"{out} holds shards already; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    written, done = [], 0
    for number, part in enumerate(_parts(records, each, seed)):
        rows = [_row(record) for record in part]
        path = out / f"part-{number:05d}.{kind}"
        write_atomically(path, _tar(rows) if kind == "tar" else _parquet(rows))
        written.append(path)
        done += len(part)
        progress(done)
    return written


def _parts(records: Sequence[DatasetItem], each: int, seed: int) -> Iterator[list[DatasetItem]]:
    numbers = clusters(records).tolist()
    order = sorted(range(len(records)), key=lambda at: (derive(seed, numbers[at]), numbers[at], derive(seed, at, "in")))
    part: list[DatasetItem] = []
    for at, place in enumerate(order):
        if len(part) >= each and numbers[place] != numbers[order[at - 1]]:
            yield part
            part = []
        part.append(records[place])
    if part:
        yield part


def _row(record: DatasetItem) -> dict[str, Any]:
    try:
        data = stored_bytes(record)
    except (OSError, MediaError) as error:
        raise DataError(f"data: {record.path} cannot be read: {error}") from error
    return {
        "image": data,
        "label": int(record.label),
        "origin": record.origin,
        "pair": record.pair,
        "item": record.item,
        "seed": record.seed,
        "licence": record.licence,
        "modality": str(record.modality),
        "suffix": record.path.suffix.lower() or (".mp4" if record.modality == "video" else ".png"),
    }


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([{key: value for key, value in row.items() if key != "suffix"} for row in rows])
    table = table.set_column(table.schema.get_field_index("seed"), "seed", table["seed"].cast(pa.int64()))
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=GROUP, compression="none")
    return sink.getvalue()


def _tar(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, row in enumerate(rows):
            about = {key: value for key, value in row.items() if key not in ("image", "suffix")}
            for suffix, data in ((row["suffix"], row["image"]), (".json", json.dumps(about).encode())):
                member = tarfile.TarInfo(f"{number:08d}{suffix}")
                member.size, member.mtime = len(data), EPOCH
                archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()
