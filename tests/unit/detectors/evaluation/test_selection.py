"""Which items count as one: what was cut from the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.dataset.contents import clusters
from detectors.dataset.folder_names import file_of
from detectors.dataset.items import DatasetItem, read_folder
from subnet.types import Label, Modality


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("clip0_frame012", "clip0"),
        ("clip0-f7", "clip0"),
        ("film.part 3_crop-11", "film"),
        ("Harbour_CLIP02", "Harbour"),
        ("IMG_0001", "IMG_0001"),
        ("000123", "000123"),
        ("frame_0001", "frame_0001"),
        ("chef2", "chef2"),
    ],
)
def test_what_a_file_was_cut_from(name: str, clip: str) -> None:
    """Counted frames, crops and parts are those of what stands before them; other numbers belong to the name."""
    assert file_of(name) == clip
    assert file_of(f"folder/{name}.mp4") == f"folder/{clip}"


def write(root: Path, *names: str) -> list[DatasetItem]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"media")
    return read_folder(root)


def count(records: list[DatasetItem]) -> int:
    return len(set(clusters(records).tolist()))


def test_frames_of_clips_and_their_twins_count_as_clips(tmp_path: Path) -> None:
    """60 frames of six clips with a fake of the same name each: six clusters, not 120."""
    frames = [f"clip{i // 10}_frame{i % 10:03d}.jpg" for i in range(60)]
    assert count(write(tmp_path, *(f"real/{f}" for f in frames), *(f"fake/gen/{f}" for f in frames))) == 6


def test_a_folder_of_numbered_frames_is_a_clip(tmp_path: Path) -> None:
    """Below source or generator a folder of bare numbers is one clip; right below them they are as many photographs."""
    names = [f"fake/swap/film{clip}/{frame:04d}.png" for clip in range(3) for frame in range(5)]
    assert count(write(tmp_path, *names, *(f"real/camera/{n:05d}.png" for n in range(7)))) == 3 + 7


def test_equal_names_below_other_sources_count_once(tmp_path: Path) -> None:
    """Which real a fake of its name was made from is not known, so that all of the name are one: never too many."""
    assert count(write(tmp_path, "real/a/1.png", "real/b/1.png", "fake/gen/1.png")) == 1


@pytest.mark.parametrize("modality", Modality)
def test_parts_of_one_file_in_an_index(tmp_path: Path, modality: Modality) -> None:
    """An index that names the file each item was cut from: parts of one file are one cluster, rows of a shard are not."""
    names = ("films/harbour_clip01.mp4", "films/harbour_clip02.mp4", "train-0.parquet#1", "train-0.parquet#2")
    records = [
        DatasetItem(tmp_path / f"{number}.png", Label.REAL, modality, "hub", item=name)
        for number, name in enumerate(names)
    ]
    assert clusters(records).tolist() == [0, 0, 1, 2]
