"""Small shards of every kind with real pictures or clips in them."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from subnet.codec import image as codec
from subnet.types import Media, Modality


def media_bytes(count: int, modality: Modality, seed: int = 0) -> list[bytes]:
    """`count` different JPEGs, or MP4 clips of 16 frames."""
    rng = np.random.default_rng(seed)
    if modality is Modality.IMAGE:
        pixels = rng.integers(0, 256, (count, 1, 80, 64, 3), dtype=np.uint8)
        return [codec.encode_image(Media(frames), 90) for frames in pixels]
    return [
        codec.encode_video(Media(rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8), 25.0), 30) for _ in range(count)
    ]


def shard_bytes(kind: str, items: list[bytes], modality: Modality) -> bytes:
    """`items` as a parquet, zip or tar file the way data sets on the hub have them."""
    suffix = "jpg" if modality is Modality.IMAGE else "mp4"
    out = io.BytesIO()
    if kind == "parquet":
        column = pa.array([{"bytes": item, "path": f"{n}.{suffix}"} for n, item in enumerate(items)])
        pq.write_table(pa.table({str(modality): column}), out, row_group_size=4)
    elif kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            for n, item in enumerate(items):
                archive.writestr(f"{n}.{suffix}", item)
    else:
        with tarfile.open(fileobj=out, mode="w") as tape:
            for n, item in enumerate(items):
                member = tarfile.TarInfo(f"{n}.{suffix}")
                member.size = len(item)
                tape.addfile(member, io.BytesIO(item))
    return out.getvalue()
