"""The embedded real set: what the index says is what lies there, and no scene is in two splits."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import av
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from subnet.media import embedded
from subnet.media.embedded.build import assign_splits, cut, read_choices
from subnet.types import Modality, Split
from tests.places import ROOT

ITEMS = embedded.items()
REDISTRIBUTABLE = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0",
    "CC0-1.0", "GPL-2+", "GPL-3", "GPL-3+", "MIT", "Pexels licence", "public domain",
}  # fmt: skip


def test_every_file_is_the_indexed_one() -> None:
    """Every row's file exists with the indexed SHA-256, and no file lies there without a row."""
    assert embedded.verify() == []
    stored = {
        str(path.relative_to(embedded.HERE))
        for kind in ("photos", "clips")
        for path in (embedded.HERE / kind).iterdir()
    }
    assert stored == {item.file for item in ITEMS}


def test_photographs_have_the_indexed_size_and_one_codec() -> None:
    """A photo is an RGB 4:4:4 JPEG of the indexed size, 200..512 on its short side, with the set's tables, no EXIF."""
    tables = set()
    for item in embedded.items(Modality.IMAGE):
        with Image.open(embedded.path(item)) as image:
            assert isinstance(image, JpegImageFile), item.id
            assert (image.mode, image.size) == ("RGB", (item.width, item.height)), item.id
            assert not image.getexif(), item.id
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3, item.id
            tables.add(str(sorted(image.quantization.items())))
        assert 200 <= min(item.width, item.height) <= 512, item.id
    assert len(tables) == 1


def test_clips_have_the_indexed_size_and_length() -> None:
    """A clip is H.264 4:2:0 of the indexed size and number of frames, short side at most 320, at most 4 s, silent."""
    for item in embedded.items(Modality.VIDEO):
        assert item.fps is not None
        assert min(item.width, item.height) <= 320
        assert item.frames / item.fps <= 4.05, item.id
        with av.open(str(embedded.path(item))) as clip:
            assert [stream.type for stream in clip.streams] == ["video"], item.id
            stream = clip.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height, stream.frames) == (item.width, item.height, item.frames)
            assert float(stream.average_rate or 0) == pytest.approx(item.fps, rel=1e-3)


def test_set_is_large_enough_and_small_enough() -> None:
    """At least 300 photos below 40 MB and 10 clips below 15 MB, of every category, all splits filled."""
    photos, clips = embedded.items(Modality.IMAGE), embedded.items(Modality.VIDEO)
    assert len(photos) >= 300
    assert len(clips) >= 10
    assert sum(embedded.path(item).stat().st_size for item in photos) < 40e6
    assert sum(embedded.path(item).stat().st_size for item in clips) < 15e6
    assert {item.category for item in ITEMS} == set(embedded.CATEGORIES)
    for split in Split:
        assert len(embedded.items(Modality.VIDEO, split)) >= 3
        assert len(embedded.items(Modality.IMAGE, split)) >= 50


def test_no_source_is_in_two_splits() -> None:
    """All cuts of one photograph, clip or scene are in one split: a model never saw a test scene in training."""
    splits = defaultdict(set)
    for item in ITEMS:
        splits[item.source].add(item.split)
    assert {source for source, its in splits.items() if len(its) > 1} == set()


def test_photo_splits_are_stratified() -> None:
    """Every category of at least four source photographs is in all splits; about 60/15/25 of the sources overall."""
    sources: dict[str, set[tuple[str, Split]]] = defaultdict(set)
    for item in embedded.items(Modality.IMAGE):
        sources[item.category].add((item.source, item.split))
    for category, its in sources.items():
        if len(its) >= 4:
            assert {split for _, split in its} == set(Split), category
    counts = Counter(split for its in sources.values() for _, split in its)
    total = sum(counts.values())
    assert counts[Split.TRAIN] / total == pytest.approx(0.60, abs=0.03)
    assert counts[Split.TEST] / total == pytest.approx(0.25, abs=0.03)


def test_every_file_has_its_rights() -> None:
    """Every row names title, author and origin, and a licence that allows passing the file on."""
    for item in ITEMS:
        assert item.title, item.id
        assert item.author, item.id
        assert item.origin, item.id
        assert item.licence in REDISTRIBUTABLE, item.id


def test_notice_counts_the_same_files() -> None:
    """NOTICE names every origin with the number of its files."""
    notice = ROOT.joinpath("NOTICE").read_text()
    origins = Counter(item.origin.split("; ")[-1].split(",")[0] for item in ITEMS)
    for origin, count in origins.items():
        assert any(line.startswith(origin) and line[50:59].split() == [str(count)] for line in notice.splitlines()), (
            origin
        )


def test_selection_of_items() -> None:
    """`items` filters by modality and split, keeps the index's order and refuses an unknown split."""
    parts = [embedded.items(modality, split) for modality in Modality for split in Split]
    assert sum(map(len, parts)) == len(ITEMS)
    assert embedded.items(split="test") == tuple(item for item in ITEMS if item.split is Split.TEST)
    with pytest.raises(ValueError, match="holdout"):
        embedded.items(split="holdout")


def test_index_is_what_the_curated_tables_say() -> None:
    """Sources, categories and splits of the index follow from the curated tables alone."""
    for modality, table in ((Modality.IMAGE, "selection.csv"), (Modality.VIDEO, "clips.csv")):
        choices = read_choices(embedded.HERE / table)
        indexed = {item.source: item.category for item in embedded.items(modality)}
        assert indexed == {choice.source: choice.category for choice in choices}
    with (embedded.HERE / "index.csv").open(newline="") as file:
        assert tuple(next(csv.reader(file))) == embedded.COLUMNS


def test_splits_depend_on_names_only() -> None:
    """The same sources in another order get the same splits; a category of four is in all three."""
    categories = {f"photo {number}": "food" if number < 4 else "person" for number in range(24)}
    shares = {Split.VALIDATION: 0.15, Split.TEST: 0.25}
    splits = assign_splits(categories, shares)
    assert splits == assign_splits(dict(reversed(categories.items())), shares)
    assert {splits[f"photo {number}"] for number in range(4)} == set(Split)


@pytest.mark.parametrize(("parts", "size"), [(1, (40, 20)), (2, (20, 20)), (4, (20, 10))])
def test_cuts_are_disjoint(parts: int, size: tuple[int, int]) -> None:
    """The parts of a photograph cover it once: every pixel is in exactly one of them."""
    image = Image.new("L", (40, 20))
    image.putdata([number % 251 for number in range(800)])
    pieces = list(cut(image, parts))
    assert [piece.size for piece in pieces] == [size] * parts
    assert sorted(pixel for piece in pieces for pixel in piece.tobytes()) == sorted(image.tobytes())
