"""Published layouts by name: every row of the table reads a tree of its own form, and says what one lacks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from detectors.dataset.contents import clusters
from detectors.dataset.cuts import challenge_media, sift
from detectors.dataset.items import read_folder
from detectors.dataset.preset_items import check, preset_items, resembled
from detectors.dataset.presets import PRESETS, Part, Preset, folder_origin, part_of, preset, splits
from neurons.datasets.arrangement import arrange, parse_preset
from neurons.datasets.split import split
from subnet.errors import DataError, UnknownName
from subnet.types import Label
from tests.unit.detectors.dataset.preset_trees import example, picture, write_tree

WITH_PARTS = [row for row in PRESETS.values() if row.parts]
WANTED = {
    "dm-aer", "aid", "million-aid", "ffhq", "celeba", "lsun-church", "stylegan2", "progan", "patchwise",
    "140k-real-and-fake-faces", "real-and-fake-face-detection", "faces", "cifake", "artifact", "genimage",
    "faceforensics++", "pool",
}  # fmt: skip


def test_pictures_of_another_size_are_remarked(tmp_path: Path) -> None:
    """cifake has 32 pixels a side: 72 are told with an example, 32 are not."""
    root = write_tree(PRESETS["cifake"], tmp_path / "set", 3)
    (note,) = check(PRESETS["cifake"], root).left_out
    assert "12 of 12 pictures are not 32 pixels a side" in note
    for path in root.rglob("*.png"):
        Image.open(path).resize((32, 32)).save(path)
    assert not check(PRESETS["cifake"], root).left_out


def test_the_table_has_what_the_studies_name() -> None:
    """A row for each data set, each with a licence and where it comes from."""
    assert set(PRESETS) == WANTED
    assert all(row.licence and row.source and row.summary for row in PRESETS.values())
    with pytest.raises(UnknownName, match="did you mean cifake"):
        preset("cifak")


def test_counts_are_the_published_ones() -> None:
    """Sums that the authors give: whole sets, both labels together."""
    totals = {name: sum(part.count or 0 for part in row.parts) for name, row in PRESETS.items()}
    assert totals["ffhq"] == 70_000
    assert totals["celeba"] == 202_599
    assert totals["million-aid"] == 1_000_848
    assert totals["140k-real-and-fake-faces"] == 140_000
    assert totals["cifake"] == 120_000
    assert totals["artifact"] == 2_496_738
    assert totals["genimage"] == 1_331_167 + 1_350_000
    assert totals["patchwise"] == 2 * 25_000 + 6 * 2_000


@pytest.mark.parametrize("row", WITH_PARTS, ids=lambda row: row.name)
def test_every_layout_reads_its_own_tree(row: Preset, tmp_path: Path) -> None:
    """Each file goes to the split and label of its folder, and no other preset is taken for it."""
    root = write_tree(row, tmp_path)
    by_split = preset_items(row, root)
    assert list(dict.fromkeys(splits(row))) == sorted(by_split, key=splits(row).index)
    labels = Counter((split, item.label) for split, items in by_split.items() for item in items)
    assert labels == {key: 2 * count for key, count in Counter((p.split, p.label) for p in row.parts).items()}
    ways = [path.relative_to(root) for path in root.rglob("*.*") if path.is_file()]
    assert resembled(ways) == row.name
    report = check(row, root)
    assert report.items == report.decoded == len(ways)
    assert not report.unreadable
    assert report.resembles is None
    assert {each.finding for each in report.parts} <= {"ok", "short"}
    assert report.whole == all(part.count in (None, 2) for part in row.parts)


def test_ways_match_what_they_say() -> None:
    """Any number of folders, choices, labels by any of their names, and capitals do not count."""
    part = Part("train", "**/train|progan_train/**/<synthetic>", Label.SYNTHETIC)
    for folder in ("train/fake", "dataset/progan_train/cat/1_fake", "a/b/TRAIN/x/y/Generated"):
        assert folder_origin(part, folder) is not None, folder
    for folder in ("train/real", "training/fake", "train", "", "train/fake/deeper"):
        assert folder_origin(part, folder) is None, folder
    assert folder_origin(Part("all", "**/*/ai", Label.SYNTHETIC), "x/Midjourney/ai") == "midjourney"


def test_celeba_is_divided_by_number() -> None:
    """The authors' partition: the first 162,770, the next 19,867, the rest."""
    found = [part_of(PRESETS["celeba"], PurePath(f"img_align_celeba/{n:06}.jpg")) for n in (1, 162_771, 202_599)]
    assert [part.split for part, _ in filter(None, found)] == ["train", "validation", "test"]
    assert part_of(PRESETS["celeba"], PurePath("img_align_celeba/202600.jpg")) is None


def test_faces_of_two_people_stay_with_both(tmp_path: Path) -> None:
    """FaceForensics++: 001, 002 and what was made of them are one content, 003 and 004 another."""
    chosen = PRESETS["faceforensics++"]
    items = preset_items(chosen, write_tree(chosen, tmp_path, 4))["all"]
    numbers = dict(zip((item.path.stem for item in items), clusters(items).tolist(), strict=True))
    assert len(set(numbers.values())) == 2
    assert numbers["001"] == numbers["002"] == numbers["001_002"] == numbers["002_001"] != numbers["003"]


def test_the_sample_of_dm_aer_is_left_out(tmp_path: Path) -> None:
    """It repeats the validation set: an item of it is in no split."""
    root = write_tree(PRESETS["dm-aer"], tmp_path)
    picture(root / "sample" / "real" / "1.png", 5)
    found = preset_items(PRESETS["dm-aer"], root)
    assert not any("sample" in item.path.parts for items in found.values() for item in items)
    assert [path.name for path in check(PRESETS["dm-aer"], root).unplaced] == ["1.png"]


def test_what_is_missing_short_or_unreadable_is_said(tmp_path: Path) -> None:
    """A folder that is not there, one with fewer files, a damaged file; and how few are decoded when asked."""
    chosen = PRESETS["cifake"]
    root = write_tree(chosen, tmp_path)
    damaged = next((root / example(chosen.parts[0])).iterdir())
    damaged.write_bytes(damaged.read_bytes()[:200])
    for path in (root / example(chosen.parts[3])).iterdir():
        path.unlink()
    report = check(chosen, root)
    assert [each.finding for each in report.parts] == ["short", "short", "short", "missing"]
    assert list(report.unreadable) == [damaged]
    assert not report.whole
    assert check(chosen, root, decode_most=0).decoded == 0
    assert check(chosen, root, decode_most=1).decoded == 3


def test_a_preset_of_small_pictures_is_scaled_up(tmp_path: Path) -> None:
    """32 pixels a side become 256, each pixel a square of 8, in the check, in the items, and after an index."""
    chosen = PRESETS["cifake"]
    root = write_tree(chosen, tmp_path / "set", 12)
    small = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for path in root.rglob("*.png"):
        Image.fromarray(small).save(path)
    assert not check(chosen, root).unreadable
    spec = parse_preset(f"cifake:{root}")
    assert spec is not None
    folder = arrange(spec, tmp_path / "home")
    for record in (preset_items(chosen, root)["train"][0], read_folder(folder / "train")[0]):
        media = challenge_media(record, "key", 0)
        assert np.array_equal(media.frames[0], small.repeat(8, axis=0).repeat(8, axis=1))
    sides = split(folder / "train", tmp_path / "sides", share=0.5)
    assert sum(len(sift(read_folder(side), "it")) for side in sides) == 24


def test_a_check_names_what_training_would_leave_out(tmp_path: Path) -> None:
    """A picture that decodes but is too small for training is no whole item of a preset of larger ones."""
    chosen = PRESETS["stylegan2"]
    root = write_tree(chosen, tmp_path)
    tiny = next(root.rglob("*.png"))
    Image.new("RGB", (32, 32)).save(tiny)
    report = check(chosen, root)
    assert "at least 64" in report.unreadable[tiny]
    assert not report.whole


def test_another_layout_is_told_by_its_name(tmp_path: Path) -> None:
    """Reading and checking name the preset that a folder resembles."""
    root = write_tree(PRESETS["genimage"], tmp_path)
    with pytest.raises(DataError, match=r"resembles genimage: write genimage:"):
        preset_items(PRESETS["celeba"], root)
    assert check(PRESETS["celeba"], root, decode_most=0).resembles == "genimage"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is not laid out as aid"):
        preset_items(PRESETS["aid"], tmp_path / "empty")
    with pytest.raises(DataError, match="is not a folder"):
        check(PRESETS["aid"], tmp_path / "nowhere")


def test_a_pool_without_an_index_is_not_whole(tmp_path: Path) -> None:
    """`pool` is what `assay pool export` writes."""
    picture(tmp_path / "real" / "1.png", 1)
    assert not check(PRESETS["pool"], tmp_path).whole
    row = '{"file": "real/1.png", "label": 0, "modality": "image", "origin": "x"}'
    (tmp_path / "index.jsonl").write_text(row)
    report = check(PRESETS["pool"], tmp_path)
    assert report.whole
    assert report.items == 1
