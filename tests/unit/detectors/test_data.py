"""Data set folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.data import both_classes, load_media, read_folder
from subnet.errors import DataError
from subnet.types import Label, Modality
from tests.unit.detectors.folders import write_clips, write_images


def test_index_is_read_with_pairs(tmp_path: Path) -> None:
    """Each line of index.jsonl becomes one record, and twins share their pair."""
    records = read_folder(write_images(tmp_path / "set", 3))
    assert [record.label for record in records] == [Label.REAL, Label.SYNTHETIC] * 3
    assert records[0].pair == records[1].pair != ""
    assert load_media(records[0]).frames.shape == (1, 256, 256, 3)


def test_folder_without_index(tmp_path: Path) -> None:
    """Without an index the label is the first of real/ and fake/, and the origin the folder below it."""
    records = read_folder(write_clips(tmp_path / "set", 1))
    assert {(record.label, record.origin, record.modality) for record in records} == {
        (Label.REAL, "camera", Modality.VIDEO),
        (Label.SYNTHETIC, "still", Modality.VIDEO),
    }
    assert load_media(records[0]).frames.shape == (5, 256, 256, 3)


def test_files_directly_below_real_take_its_name(tmp_path: Path) -> None:
    """An item directly in real/ or fake/ has that folder as its origin; other files are left alone."""
    for name in ("real/a.png", "fake/b.png", "notes.txt", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [(record.origin, int(record.label)) for record in read_folder(tmp_path)] == [("fake", 1), ("real", 0)]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A missing folder, an empty one, one class only and an unreadable file are DataErrors that name them."""
    with pytest.raises(DataError, match="nowhere is not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no images or clips"):
        read_folder(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "broken.jpg").write_bytes(b"not a picture")
    records = read_folder(tmp_path)
    with pytest.raises(DataError, match="no synthetic items among 1"):
        both_classes(records, "this set")
    with pytest.raises(DataError, match=r"broken\.jpg cannot be read"):
        load_media(records[0])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1"),
        ('{"label": 0, "modality": "image", "origin": "x"}', "KeyError 'file'"),
        ('{"file": "a.png", "label": 7, "modality": "image", "origin": "x"}', "7 is not a valid Label"),
        ('{"file": "../a.png", "label": 1, "modality": "image", "origin": "x"}', "outside the data set"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    """A line of the index that cannot be understood, or points outside, is named with its number."""
    (tmp_path / "index.jsonl").write_text(line)
    with pytest.raises(DataError, match=told):
        read_folder(tmp_path)
