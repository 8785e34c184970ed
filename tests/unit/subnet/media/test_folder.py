"""Sources on this disk: whole samples of the right size, spoilt files passed over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from subnet.codec import image as codec
from subnet.errors import MediaUnreadable, SettingsError, SourceEmpty
from subnet.media import embedded
from subnet.media.cutting import CLIP_LIMITS, FRAMES, cut, cut_again, decode_clip
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.folder import FolderSource
from subnet.media.pool.pool import Pool
from subnet.types import Label, Media, Modality, Split


def photo(seed: int, height: int = 300, width: int = 400) -> Media:
    return Media(np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8))


def clip(seed: int, frames: int) -> Media:
    return Media(np.random.default_rng(seed).integers(0, 256, (frames, 64, 80, 3), dtype=np.uint8), 24.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos at different depths, a clip, a spoilt photo, a clip that is too short, and things to leave alone."""
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a.jpg").write_bytes(codec.encode_image(photo(0), 90))
    (tmp_path / "deep" / "b.PNG").write_bytes(codec.encode_png(photo(1)))
    (tmp_path / "spoilt.jpg").write_bytes(codec.encode_image(photo(2), 90)[:500])
    (tmp_path / ".hidden" / "c.jpg").write_bytes(codec.encode_image(photo(3), 90))
    (tmp_path / "notes.txt").write_text("not media")
    (tmp_path / "clip.mp4").write_bytes(codec.encode_video(clip(0, 20), 20))
    (tmp_path / "short.mp4").write_bytes(codec.encode_video(clip(1, 5), 20))
    return tmp_path


def test_every_usable_file_is_drawn_and_spoilt_ones_are_told_once(folder: Path) -> None:
    """Draws give 256x256 samples from all good files; each bad one is counted and told once, then left alone."""
    told: list[str] = []
    source = FolderSource(folder, Label.REAL, licence="CC0-1.0", on_bad=lambda path, reason: told.append(path.name))
    rng = np.random.default_rng(0)
    samples = [source.draw(Modality.IMAGE, Label.REAL, rng) for _ in range(20)]
    samples += [source.draw(Modality.VIDEO, Label.REAL, rng) for _ in range(5)]
    assert {s.provenance.item for s in samples} == {"a.jpg", str(Path("deep/b.PNG")), "clip.mp4"}
    assert {s.media.frames.shape for s in samples} == {(1, 256, 256, 3), (16, 256, 256, 3)}
    assert {s.provenance.licence for s in samples} == {"CC0-1.0"}
    assert sorted(told) == ["short.mp4", "spoilt.jpg"] == sorted(path.name for path in source.bad)


def test_the_same_rng_gives_the_same_sample(folder: Path) -> None:
    """A draw is a function of the folder and the rng."""
    frames = [
        FolderSource(folder, Label.REAL).draw(Modality.IMAGE, Label.REAL, np.random.default_rng(5)).media.frames
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*frames)


def test_nothing_usable_names_the_folder(folder: Path) -> None:
    """Another label, or only spoilt files: SourceEmpty with the folder and how many were spoilt."""
    source = FolderSource(folder, Label.REAL)
    with pytest.raises(SourceEmpty, match="synthetic"):
        source.draw(Modality.IMAGE, Label.SYNTHETIC, np.random.default_rng(0))
    for name in ("a.jpg", "deep/b.PNG"):
        (folder / name).write_bytes(b"")
    with pytest.raises(SourceEmpty, match="3 could not be used, 2 left out"):
        source.draw(Modality.IMAGE, Label.REAL, np.random.default_rng(0))


def test_a_file_that_vanishes_is_passed_over(folder: Path) -> None:
    """Deleting a listed file does not end the draws."""
    source = FolderSource(folder, Label.REAL)
    rng = np.random.default_rng(0)
    source.draw(Modality.IMAGE, Label.REAL, rng)
    (folder / "a.jpg").unlink()
    drawn = {source.draw(Modality.IMAGE, Label.REAL, rng).provenance.item for _ in range(10)}
    assert drawn == {str(Path("deep/b.PNG"))}


def test_a_missing_folder_is_the_users_mistake(tmp_path: Path) -> None:
    """It is named at once, before any draw."""
    with pytest.raises(SettingsError, match="nowhere"):
        FolderSource(tmp_path / "nowhere", Label.REAL)


def test_only_the_first_frames_of_a_long_clip_are_decoded() -> None:
    """Neither length nor 1080p makes a clip too large: decoding stops at the limit, and the limit has room for it."""
    frames = np.random.default_rng(0).integers(0, 256, (60, 64, 80, 3), dtype=np.uint8)
    assert len(decode_clip(codec.encode_video(Media(frames, 30.0), 40)).frames) == CLIP_LIMITS.frames >= FRAMES
    assert CLIP_LIMITS.frames * 1920 * 1080 <= CLIP_LIMITS.pixels


def test_cut_takes_successive_frames() -> None:
    """The frames of a cut are neighbours in the clip; a clip that is too short is unreadable."""
    frames = np.repeat(np.arange(30, dtype=np.uint8), 300 * 300 * 3).reshape(30, 300, 300, 3)
    taken = cut(Media(frames, 25.0), np.random.default_rng(1)).media.frames[:, 0, 0, 0].astype(int)
    assert list(np.diff(taken)) == [1] * 15
    with pytest.raises(MediaUnreadable, match="16 are needed"):
        cut(Media(frames[:9], 25.0), np.random.default_rng(1))


@pytest.mark.parametrize("split", list(Split))
def test_the_embedded_split_gives_only_its_own(split: Split) -> None:
    """Draws are real, 256x256, of this split, with the licence of the photo; synthetic ones are not there."""
    source = EmbeddedSource(split)
    own = {item.id: item for item in embedded.items(Modality.IMAGE, split)}
    rng = np.random.default_rng(0)
    for _ in range(10):
        drawn = source.draw(Modality.IMAGE, Label.REAL, rng)
        assert drawn.media.frames.shape == (1, 256, 256, 3)
        assert drawn.provenance.licence == own[drawn.provenance.item].licence
    with pytest.raises(SourceEmpty, match="synthetic"):
        source.draw(Modality.IMAGE, Label.SYNTHETIC, rng)


def test_an_embedded_clip_is_cut_as_if_all_of_it_were_decoded() -> None:
    """Frames that are not shown are not converted, and the cut is the one that the whole clip would give."""
    source = EmbeddedSource(Split.TEST)
    for seed in range(3):
        drawn = source.draw(Modality.VIDEO, Label.REAL, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        items = embedded.items(Modality.VIDEO, Split.TEST)
        whole = codec.decode_video(embedded.path(items[int(rng.integers(len(items)))]).read_bytes())
        assert np.array_equal(drawn.media.frames, cut(whole, rng).media.frames)


def test_frames_from_a_start_on() -> None:
    """`start` leaves frames out and changes no other; past the end of a clip there is nothing."""
    data = codec.encode_lossless_video(clip(3, 20))
    assert np.array_equal(codec.decode_video(data, start=12).frames, codec.decode_video(data).frames[12:])
    with pytest.raises(MediaUnreadable, match="no frame 20"):
        codec.decode_video(data, start=20)


@pytest.mark.parametrize("modality", list(Modality))
def test_an_item_can_be_made_again_from_its_original(folder: Path, modality: Modality) -> None:
    """File and place stand in the provenance; cutting the file there again gives the item, pixel by pixel."""
    source = FolderSource(folder, Label.REAL)
    for seed in range(4):
        sample = source.draw(modality, Label.REAL, np.random.default_rng(seed))
        data = (folder / sample.provenance.item).read_bytes()
        original = codec.decode_image(data) if modality is Modality.IMAGE else codec.decode_video(data)
        again = cut_again(original, sample.provenance.parameters)
        np.testing.assert_array_equal(again.frames, sample.media.frames)


@pytest.mark.parametrize("modality", list(Modality))
def test_an_embedded_item_can_be_made_again(modality: Modality) -> None:
    """The same for the embedded set, whose clips are decoded in part only."""
    for seed in range(3):
        sample = EmbeddedSource(Split.TEST).draw(modality, Label.REAL, np.random.default_rng(seed))
        item = next(item for item in embedded.items(modality, Split.TEST) if item.id == sample.provenance.item)
        data = embedded.path(item).read_bytes()
        original = codec.decode_image(data) if modality is Modality.IMAGE else codec.decode_video(data)
        again = cut_again(original, json.loads(json.dumps(dict(sample.provenance.parameters))))
        np.testing.assert_array_equal(again.frames, sample.media.frames)


def test_a_pool_keeps_the_place(folder: Path, tmp_path: Path) -> None:
    """What is read back from a pool says where it was cut."""
    pool = Pool(tmp_path / "pool", floor=0)
    sample = FolderSource(folder, Label.REAL).draw(Modality.IMAGE, Label.REAL, np.random.default_rng(1))
    stored = pool.put(sample, stream="s", sequence=0)
    assert stored.item is not None
    kept = pool.read(stored.item)
    assert kept is not None
    original = codec.decode_image((folder / kept.provenance.item).read_bytes())
    np.testing.assert_array_equal(cut_again(original, kept.provenance.parameters).frames, sample.media.frames)
