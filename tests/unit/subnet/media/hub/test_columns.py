"""Which column or member holds the photographs: by features and names, never a mask, and what the user says."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from subnet.codec import image as codec
from subnet.errors import MediaError, MediaUnreadable, SettingsError
from subnet.media.hub import parquet
from subnet.media.hub.catalog import any_repository
from subnet.media.hub.columns import is_mask, plain_name
from subnet.media.hub.photograph import no_photograph
from subnet.media.hub.shards import open_shard
from subnet.types import Label, Media, Modality
from tests.unit.subnet.media.hub.shard_files import media_bytes

IMAGE = Modality.IMAGE
PICTURES = media_bytes(6, IMAGE)
MASK = codec.encode_png(Media(np.full((1, 80, 64, 3), 255, np.uint8)))


def written(metadata: dict[bytes, bytes] | None = None, **columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), out, row_group_size=4)
    return out.getvalue()


def struct(values: list[bytes]) -> pa.Array:
    return pa.array([{"bytes": value, "path": "x"} for value in values])


def taken(data: bytes, name: str = "a.parquet", column: str = "") -> list[bytes]:
    shard = open_shard(io.BytesIO(data), name, IMAGE, column)
    try:
        return [shard.read(index)[1] for group in shard.groups for index in group]
    finally:
        shard.close()


FEATURES = {
    b"huggingface": json.dumps({"info": {"features": {"a": {"_type": "Image"}, "b": {"_type": "Value"}}}}).encode()
}
LAYOUTS: dict[str, Callable[[], bytes]] = {
    "dictionary": lambda: written(
        image=pa.DictionaryArray.from_arrays(pa.array(range(6), pa.int32()), pa.array(PICTURES, pa.binary()))
    ),
    "view": lambda: written(image=pa.array(PICTURES, pa.binary_view())),
    "large": lambda: written(image=pa.array(PICTURES, pa.large_binary())),
    "list": lambda: written(images=pa.array([[{"bytes": picture, "path": "p"}] for picture in PICTURES])),
    "nested": lambda: written(sample=pa.array([{"image": {"bytes": p, "path": "p"}, "n": 1} for p in PICTURES])),
    "hash first": lambda: written(digest=pa.array([bytes(16)] * 6, pa.binary()), photo=pa.array(PICTURES, pa.binary())),
    "text beside": lambda: written(image=struct(PICTURES), caption=["image of x"] * 6),
    "mask first": lambda: written(mask=struct([MASK] * 6), photo=struct(PICTURES)),
    "depth last": lambda: written(photo=struct(PICTURES), image_depth=struct([MASK] * 6), image_seg=struct([MASK] * 6)),
    "by feature": lambda: written(FEATURES, b=pa.array(PICTURES[::-1], pa.binary()), a=struct(PICTURES)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_photographs_are_read_from_every_layout(layout: str) -> None:
    """Bytes come out whole and in their order, however they are stored and whatever lies beside them."""
    assert taken(LAYOUTS[layout]()) == PICTURES


def test_what_is_not_clear_must_be_named() -> None:
    """Two columns with pictures, or masks only, are refused with their names; the one that is named is taken."""
    two = written(before=struct(PICTURES), after=struct(PICTURES[::-1]))
    with pytest.raises(MediaUnreadable, match="not clear.*before, after.*owner/name:COLUMN"):
        taken(two)
    assert taken(two, column="after") == PICTURES[::-1]
    masks = written(mask=struct(PICTURES))
    with pytest.raises(MediaUnreadable, match="no column with media; with bytes: mask"):
        taken(masks)
    assert taken(masks, column="mask") == PICTURES
    with pytest.raises(MediaUnreadable, match="no column other holds bytes; those that do are mask"):
        taken(masks, column="other")


def archives() -> Iterator[tuple[str, bytes]]:
    members = {f"images/{n}.jpg": picture for n, picture in enumerate(PICTURES)}
    members |= {f"{folder}/{n}.png": MASK for folder in ("masks", "Depth", "__MACOSX") for n in range(3)}
    members |= {f"images/{n}.seg.png": MASK for n in range(3)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    yield "a.zip", out.getvalue()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tape:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tape.addfile(member, io.BytesIO(data))
    yield "a.tar", out.getvalue()


@pytest.mark.parametrize(("name", "data"), list(archives()))
def test_members_of_archives(name: str, data: bytes) -> None:
    """Masks and litter are passed over; a folder, an ending or a pattern names what is wanted."""
    assert taken(data, name) == PICTURES
    assert taken(data, name, "masks") == [MASK] * 3
    assert taken(data, name, "seg.png") == [MASK] * 3
    assert taken(data, name, "images/*.jpg") == PICTURES


@pytest.mark.parametrize(
    "name",
    ["mask", "seg_map", "depthMap", "images/0.depth.png", "label", "img_md5", "gt", "mask2", "trimaps", "0.cond.png"],
)
def test_masks_by_name(name: str) -> None:
    """A word of the name is enough, whatever joins the words."""
    assert is_mask(name)


@pytest.mark.parametrize("name", ["image", "labelled_photos.jpg", "unmasked", "segment7", "poses", "images/0.jpg"])
def test_no_masks_by_name(name: str) -> None:
    """A part of a word says nothing."""
    assert not is_mask(name)
    assert plain_name(f"{name.partition('.')[0]}.list.element.bytes") == name.partition(".")[0]


def test_pixels_that_are_no_photograph() -> None:
    """Flat and few-coloured pictures and smooth grey ones are named; noise, also grey, may be a photograph."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1, 300, 300, 3), dtype=np.uint8)
    assert no_photograph(Media(noise)) is None
    assert no_photograph(Media(np.repeat(noise[..., :1], 3, axis=-1))) is None
    blobs = (np.add.outer(np.arange(300) // 60, np.arange(300) // 60) % 5 * 50).astype(np.uint8)
    assert "5 colours" in str(no_photograph(Media(np.repeat(blobs[None, ..., None], 3, axis=-1))))
    ramp = np.add.outer(np.arange(300), np.arange(300)) // 3
    depth = np.repeat(ramp.astype(np.uint8)[None, ..., None], 3, axis=-1)
    assert "depth" in str(no_photograph(Media(depth)))


def test_a_set_may_be_named_with_its_column() -> None:
    """owner/name:COLUMN; anything else that is no name of a set is a mistake of the plan's."""
    row = any_repository("someone/things:photo", IMAGE, Label.REAL)
    assert (row.repository, row.column, row.name) == ("someone/things", "photo", "someone/things:photo")
    for wrong in ("someone/a/b", "/a", "a/", "someone/a:"):
        with pytest.raises(SettingsError, match="owner/name"):
            any_repository(wrong, IMAGE)


def test_a_reader_that_dies_costs_its_shard_only() -> None:
    """Whatever ends the process that parses, as Arrow does on some damage, is a typed error; the next shard is read."""
    data = written(image=struct(PICTURES))
    shard = open_shard(io.BytesIO(data), "a.parquet", IMAGE)
    assert isinstance(shard, parquet.ParquetShard)
    os.kill(shard._reader.pid, signal.SIGABRT)
    with pytest.raises(MediaUnreadable, match="a.parquet ended its reader .signal 6"):
        shard.read(0)
    with pytest.raises(MediaUnreadable, match="ended its reader"):
        shard.read(1)
    shard.close()
    assert taken(data) == PICTURES


def test_a_reader_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for the child alone: a slow connection of ours does not count."""
    data = written(image=struct(PICTURES))
    shard = open_shard(io.BytesIO(data), "a.parquet", IMAGE)
    assert isinstance(shard, parquet.ParquetShard)
    monkeypatch.setattr(parquet, "DEADLINE", 0.3)
    os.kill(shard._reader.pid, signal.SIGSTOP)
    with pytest.raises(MediaUnreadable, match="over 0.3 s"):
        shard.read(0)
    shard.close()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            threading.Event().wait(0.4)
            return super().read(size)

    monkeypatch.setattr(parquet, "DEADLINE", 20.0)
    warm = open_shard(io.BytesIO(data), "a.parquet", IMAGE)
    warm.close()
    monkeypatch.setattr(parquet, "DEADLINE", 0.35)
    slow = open_shard(Slow(data), "a.parquet", IMAGE)
    assert slow.read(5)[1] == PICTURES[5]
    slow.close()


def test_shards_read_side_by_side() -> None:
    """Threads do not share a reader, and none is left over beyond those that wait."""
    data = written(image=struct(PICTURES))
    results: list[list[bytes]] = []

    def work() -> None:
        results.extend(taken(data) for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [PICTURES] * 9


def test_damage_in_a_footer_is_a_typed_error() -> None:
    """Cut in the middle, with a footer that lies about its length, or no parquet at all."""
    data = written(image=struct(PICTURES))
    for bad in (b"", b"PAR1", data[:200] + data[-8:], data[:-8] + b"\xff\xff\xff\x7fPAR1", b"x" * 1000):
        with pytest.raises(MediaError):
            taken(bad)
