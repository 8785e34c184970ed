"""Shards: every fair item can be read at random, nothing unfair is taken, damage is typed."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import MediaError, MediaUnreadable
from subnet.media.hub.shards import kind_of, open_shard
from subnet.types import Modality

IMAGE = Modality.IMAGE
BLOBS = [random.Random(n).randbytes(3000) for n in range(25)]


def parquet(column: str = "image", rows_per_group: int = 10, nested: bool = True) -> bytes:
    """BLOBS as the hub stores images, or as plain binary, beside a column to leave alone."""
    values = pa.array([{"bytes": blob, "path": None} for blob in BLOBS]) if nested else pa.array(BLOBS)
    out = io.BytesIO()
    pq.write_table(pa.table({"label": list(range(25)), column: values}), out, row_group_size=rows_per_group)
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for n, blob in enumerate(BLOBS):
            archive.writestr(f"folder/{n}.jpg", blob)
        archive.writestr("notes.txt", "not media")
    return out.getvalue()


def tarred(mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for n, blob in enumerate(BLOBS):
            member = tarfile.TarInfo(f"folder/{n}.jpg")
            member.size = len(blob)
            archive.addfile(member, io.BytesIO(blob))
        archive.addfile(tarfile.TarInfo("notes.txt"))
    return out.getvalue()


MAKERS: dict[str, Callable[[], bytes]] = {
    "a.parquet": parquet,
    "plain.parquet": lambda: parquet("jpg", 7, nested=False),
    "a.zip": zipped,
    "a.tar": tarred,
    "a.tar.gz": lambda: tarred("w:gz"),
    "a.tgz": lambda: tarred("w:gz"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_item_can_be_read_in_any_order(name: str) -> None:
    """All items, each once, whatever the order, with the groups covering all of them."""
    shard = open_shard(io.BytesIO(MAKERS[name]()), name, IMAGE)
    indices = [index for group in shard.groups for index in group]
    assert sorted(indices) == list(range(25))
    random.Random(1).shuffle(indices)
    assert [shard.read(index)[1] for index in indices] == [BLOBS[index] for index in indices]
    shard.close()


def test_parquet_reads_one_group_and_one_column() -> None:
    """Items of one group cost the bytes of its media column, not those of the shard."""

    class Counting(io.BytesIO):
        fetched = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.fetched += len(data)
            return data

    file = Counting(parquet())
    shard = open_shard(file, "a.parquet", IMAGE)
    opened = file.fetched
    for index in shard.groups[1]:
        shard.read(index)
    assert file.fetched - opened < 2 * 10 * 3000 < len(file.getvalue())
    shard.close()


def test_a_parquet_file_without_media_names_its_columns() -> None:
    """The message lists what is there instead."""
    out = io.BytesIO()
    pq.write_table(pa.table({"caption": ["x"], "label": [1]}), out)
    with pytest.raises(MediaUnreadable, match="caption, label"):
        open_shard(io.BytesIO(out.getvalue()), "a.parquet", IMAGE)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_cut_shard_is_a_typed_error(name: str, share: float) -> None:
    """Opening or reading a truncated file raises MediaError, never anything else; the file is closed."""
    data = MAKERS[name]()
    file = io.BytesIO(data[: int(len(data) * share)])
    try:
        shard = open_shard(file, name, IMAGE)
    except MediaError:
        assert file.closed
        return
    for group in shard.groups:
        for index in group:
            try:
                shard.read(index)
            except MediaError:
                continue
    shard.close()


@given(st.sampled_from(sorted(MAKERS)), st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_is_a_typed_error_or_harmless(name: str, position: int, change: int) -> None:
    """No single damaged byte makes anything but MediaError come out."""
    data = bytearray(MAKERS[name]())
    data[position % len(data)] ^= change
    try:
        shard = open_shard(io.BytesIO(bytes(data)), name, IMAGE)
    except MediaError:
        return
    for index in (0, 5):
        try:
            shard.read(index)
        except (MediaError, IndexError):
            continue
    shard.close()


@pytest.mark.parametrize(
    "name", ["../up.jpg", "/root.jpg", "a/../../b.jpg", "C:/x.jpg", ".hidden.jpg", "..\\up.jpg", "x.exe"]
)
def test_unfair_names_are_passed_over(name: str) -> None:
    """Names that would escape, hide, or are no media are in neither kind of archive."""
    zip_file, tar_file = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zip_file, "w") as archive:
        archive.writestr(name, b"x" * 10)
        archive.writestr("good.jpg", b"y" * 10)
    with tarfile.open(fileobj=tar_file, mode="w") as tape:
        for each in (name, "good.jpg"):
            member = tarfile.TarInfo(each)
            member.size = 10
            tape.addfile(member, io.BytesIO(b"y" * 10))
    for file, path in ((zip_file, "a.zip"), (tar_file, "a.tar")):
        shard = open_shard(file, path, IMAGE)
        assert [shard.read(i)[0] for group in shard.groups for i in group] == ["good.jpg"]
        shard.close()


def test_links_devices_and_bombs_are_passed_over() -> None:
    """Symbolic links, hard links, devices, and members that blow up beyond tenfold are not taken."""
    zip_file = io.BytesIO()
    with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_DEFLATED) as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bomb.jpg", bytes(10**6))
    with pytest.raises(MediaUnreadable, match="no image in it"):
        open_shard(zip_file, "a.zip", IMAGE)
    tar_file = io.BytesIO()
    with tarfile.open(fileobj=tar_file, mode="w") as tape:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo("x.jpg")
            member.type, member.linkname = kind, "/etc/passwd"
            tape.addfile(member)
    with pytest.raises(MediaUnreadable, match="no image in it"):
        open_shard(tar_file, "a.tar", IMAGE)


def test_a_gzip_bomb_is_refused_early() -> None:
    """A tape that unpacks to over ten times its size is refused before it is unpacked."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tape:
        for n in range(3):
            member = tarfile.TarInfo(f"{n}.jpg")
            member.size = 30_000_000
            tape.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(MediaUnreadable, match="10 times"):
        open_shard(out, "a.tar.gz", IMAGE)


@pytest.mark.parametrize(
    ("path", "modality", "kind"),
    [
        ("data/x-0001.PARQUET", IMAGE, "parquet"),
        ("x.tar.gz", IMAGE, "tar"),
        ("x.csv.gz", IMAGE, None),
        ("x.jpg", IMAGE, "file"),
        ("x.jpg", Modality.VIDEO, None),
        ("x.mp4", Modality.VIDEO, "file"),
        ("README.md", IMAGE, None),
    ],
)
def test_kinds_go_by_suffix(path: str, modality: Modality, kind: str | None) -> None:
    """What a path is, for either modality."""
    assert kind_of(path, modality) == kind


def test_a_plain_file_is_a_shard_of_one() -> None:
    """Its bytes come out again and again; an unknown kind is refused by name."""
    shard = open_shard(io.BytesIO(b"abc"), "x.jpg", IMAGE)
    assert [shard.read(0), shard.read(0)] == [("x.jpg", b"abc")] * 2
    shard.close()
    with pytest.raises(MediaUnreadable, match=r"notes\.txt"):
        open_shard(io.BytesIO(b"abc"), "notes.txt", IMAGE)
