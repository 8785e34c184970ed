"""Random rows of a parquet shard: ours beside `datasets` streaming, same file, same rows, in one run.

    python benchmarks/parquet.py [--rows 2000] [--group 100] [--draws 20] [--json]

The shard holds 256x256 JPEGs of the embedded photos as the hub stores images: a struct of bytes and path, `group` rows
a group. Measured is the time to the bytes (not decoded) of:

- `first`: one random row of a shard that was just opened;
- `random`: `draws` random rows, one after another;
- `group`: `group` rows that lie together, as a source takes them before it turns to another shard.

Ours is `open_shard`; `datasets` is `load_dataset("parquet", streaming=True)` with `decode=False`, and `skip(n)` to
reach row n. Milliseconds on the wall clock, median of `repeats` runs that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from subnet.codec import image as codec
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.hub.shards import open_shard
from subnet.types import Label, Modality, Split

REPEATS = 5


def write_shard(path: Path, rows: int, group: int) -> None:
    """JPEGs of random cuts; 200 different ones, each under its own row number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, rng = EmbeddedSource(Split.TRAIN), np.random.default_rng(0)
    cuts = [source.draw(Modality.IMAGE, Label.REAL, rng).media for _ in range(min(rows, 200))]
    pictures = [codec.encode_image(media, 92) for media in cuts]
    items = [{"bytes": pictures[n % len(pictures)] + n.to_bytes(4), "path": f"{n}.jpg"} for n in range(rows)]
    pq.write_table(pa.table({"image": items, "label": [0] * rows}), path, row_group_size=group)


def ours(path: Path, rows: list[int]) -> list[bytes]:
    shard = open_shard(path.open("rb"), path.name, Modality.IMAGE)
    found = [shard.read(row)[1] for row in rows]
    shard.close()
    return found


def streaming(path: Path, rows: list[int], together: bool) -> list[bytes]:
    from datasets import Image, load_dataset

    stream = load_dataset("parquet", data_files=str(path), split="train", streaming=True)
    stream = stream.cast_column("image", Image(decode=False))
    if together:
        return [item["image"]["bytes"] for item in stream.skip(rows[0]).take(len(rows))]
    return [next(iter(stream.skip(row)))["image"]["bytes"] for row in rows]


def timed(work: Callable[[], list[bytes]]) -> tuple[float, list[bytes]]:
    begun = time.perf_counter()
    result = work()
    return 1000 * (time.perf_counter() - begun), result


def measure(path: Path, rows: int, group: int, draws: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(1)
    times: dict[str, dict[str, list[float]]] = {}
    for _ in range(REPEATS):
        start = int(rng.integers(rows // group)) * group
        cases = {
            "first": [int(rng.integers(rows))],
            "random": [int(row) for row in rng.integers(rows, size=draws)],
            "group": list(range(start, start + group)),
        }
        for case, wanted in cases.items():
            own, found = timed(lambda wanted=wanted: ours(path, wanted))
            theirs, same = timed(lambda wanted=wanted, case=case: streaming(path, wanted, case == "group"))
            assert found == same
            row = times.setdefault(case, {"ours_ms": [], "datasets_ms": []})
            row["ours_ms"].append(own)
            row["datasets_ms"].append(theirs)
    return {case: {name: statistics.median(values) for name, values in row.items()} for case, row in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--group", type=int, default=100)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(HF_HOME=folder, HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
        path = Path(folder) / "shard.parquet"
        write_shard(path, args.rows, args.group)
        streaming(path, [0], together=True)  # imports are not measured
        ours(path, [0])
        result = measure(path, args.rows, args.group, args.draws)
        size = path.stat().st_size
    if args.json:
        print(json.dumps({"bytes": size, **result}))
        return
    print(f"{size / 1e6:.1f} MB, {args.rows} rows in groups of {args.group}")
    for case, row in result.items():
        ratio = row["datasets_ms"] / row["ours_ms"]
        print(f"{case:8} ours {row['ours_ms']:9.1f} ms   datasets {row['datasets_ms']:9.1f} ms   {ratio:6.1f} x")


if __name__ == "__main__":
    main()
