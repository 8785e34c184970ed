"""Data sets in shards."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, load_media, read_folder
from detectors.dataset.shard_writing import write_shards
from subnet.errors import DataError, SettingsError
from subnet.types import Label
from tests.unit.detectors.folders import write_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs and a twin of each, as files."""
    return write_images(tmp_path_factory.mktemp("loose") / "data", 6)


def told(records: list[DatasetItem]) -> set[tuple[object, ...]]:
    return {(each.label, each.origin, each.pair, each.item, load_media(each).frames.tobytes()) for each in records}


@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_shards_hold_what_the_folder_holds(folder: Path, tmp_path: Path, kind: str) -> None:
    """Every item is there once with its label, origin, content and pixels; twins lie side by side, paths are unique."""
    records = read_folder(folder)
    shards = write_shards(records, tmp_path / "shards", kind=kind, each=1)  # type: ignore[arg-type]
    found = read_folder(tmp_path / "shards")
    assert len(shards) == len(set(clusters(records).tolist()))
    assert told(found) == told(records)
    assert len({each.path for each in found}) == len(found) == 12
    numbers = clusters(found).tolist()
    assert numbers == sorted(numbers)
    with pytest.raises(SettingsError, match="holds shards already"):
        write_shards(records, tmp_path / "shards")


def test_a_damaged_header_in_a_tar_costs_its_item_alone(folder: Path, tmp_path: Path) -> None:
    """The place is told, and what comes before and after is used; no item is lost in silence."""
    (path,) = write_shards(read_folder(folder), tmp_path, kind="tar")
    with tarfile.open(path) as archive:
        third = archive.getmembers()[4].offset
    data = bytearray(path.read_bytes())
    data[third : third + 512] = b"\xff" * 512
    path.write_bytes(data)
    notes: list[str] = []
    found = read_folder(tmp_path, notes.append)
    assert len(found) == 11
    assert [load_media(each).frames.shape[0] for each in found] == [1] * 11
    assert any(f"damaged from byte {third:,}" in note for note in notes)


def test_a_tar_that_was_cut_off_gives_what_is_whole(folder: Path, tmp_path: Path) -> None:
    """A shard that broke while it was copied is told with the number of items that are used."""
    (path,) = write_shards(read_folder(folder), tmp_path, kind="tar")
    with tarfile.open(path) as archive:
        cut = archive.getmembers()[8].offset_data + 100
    path.write_bytes(path.read_bytes()[:cut])
    notes: list[str] = []
    assert len(read_folder(tmp_path, notes.append)) == 4
    assert any("damaged" in note and "4 items" in note for note in notes)


def test_damaged_rows_of_parquet_are_named_when_they_are_read(folder: Path, tmp_path: Path) -> None:
    """Pixels that were overwritten in the middle of a shard are a DataError that names shard and row."""
    (path,) = write_shards(read_folder(folder), tmp_path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)
    found = read_folder(tmp_path)
    flaws = []
    for each in found:
        try:
            load_media(each)
        except DataError as error:
            flaws.append(str(error))
    assert 1 <= len(flaws) < 12
    assert all(str(path) in flaw for flaw in flaws)


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    """A file that only has the suffix is a DataError naming it and the way out."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read.*mend it, or take it away"):
        read_folder(tmp_path)


def test_labels_of_others_shards(folder: Path, tmp_path: Path) -> None:
    """Class names in the hub's metadata, `.cls` members and folders tell labels; without any the shard is refused."""
    data = next(folder.glob("*.png")).read_bytes()
    names = {"info": {"features": {"label": {"names": ["fake", "real"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": [data, data], "label": [0, 1]})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), tmp_path / "named.parquet")
    assert [each.label for each in read_folder(tmp_path)] == [Label.SYNTHETIC, Label.REAL]
    (tmp_path / "named.parquet").unlink()
    (tmp_path / "fake" / "sdxl").mkdir(parents=True)
    for place, cls in (("classes.tar", b"0"), ("fake/sdxl/part.tar", None)):
        with tarfile.open(tmp_path / place, "w") as archive:
            for name, content in (("a.png", data), *([("a.cls", cls)] if cls else [])):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    assert [(each.label, each.origin) for each in read_folder(tmp_path)] == [(0, "real"), (1, "sdxl")]
    pq.write_table(pa.table({"image": [data]}), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no label; give a column"):
        read_folder(tmp_path)
