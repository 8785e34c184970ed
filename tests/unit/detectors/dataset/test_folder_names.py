"""What the folders and names of a data set say."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.dataset.folder_names import NAMES, label_of, place_of
from subnet.types import Label

DRESSES = ("{}", "0_{}", "1_{}", "01. {}", "{}_images", "{}-videos", "{} faces", "{}_imgs")


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("label", list(Label))
def test_a_label_is_known_in_every_dress(label: Label, dress: str) -> None:
    """Small and large letters, leading numbers, kinds of media and plurals change nothing."""
    for name in NAMES[label].split():
        for form in (name, name.upper(), name.title(), name.replace("_", "-")):
            assert label_of(dress.format(form)) is label


@pytest.mark.parametrize("name", ["", "0", "1", "train", "real_vs_fake", "realvisxl", "aircraft", "fakery", "surreal"])
def test_other_folders_give_no_label(name: str) -> None:
    """A label is a word of the table and no part of another; bare numbers mean something else in every set."""
    assert label_of(name) is None


@pytest.mark.parametrize(
    ("way", "origin", "content"),
    [
        ("real/clip0_frame003.jpg", "real", "clip0"),
        ("fake/gen/clip0_frame003.jpg", "gen", "clip0"),
        ("0_real/video12-0007.png", "0_real", "video12"),
        ("fake/holiday.mp4_0012.jpg", "fake", "holiday.mp4"),
        ("real/clip7/0001.png", "real", "clip7"),
        ("fake/gen/clip7/0001.png", "gen", "clip7"),
        ("real/clip7/frame_01.png", "real", "clip7/frames"),
        ("Celeb-real/frames/id0_0000/000.png", "celeb-real", "id0_0000"),
        ("manipulated_sequences/Deepfakes/c23/frames/000_003/0001.png", "Deepfakes", "c23/000_003"),
        ("train/REAL/12.jpg", "real", "train/12"),
        ("ai/sdxl/IMG_0001.jpg", "sdxl", "IMG_0001"),
        ("real/leaf12.jpg", "real", "leaf12"),
        ("real/video_0003.jpg", "real", "video_0003"),
    ],
)
def test_frames_of_a_clip_show_the_same(way: str, origin: str, content: str) -> None:
    """Frames are known by their names or their clip's folder; numbered photographs are not frames."""
    place = place_of(PurePath(way))
    assert place is not None
    assert (place.origin, place.content) == (origin, content)


@given(st.sampled_from(["clip{}_frame{}", "scene-{}-{}", "a{}.mp4_{}", "x{} frame {}", "id{}_{}"]), st.integers(0, 99))
def test_a_frame_and_its_twin_belong_together(pattern: str, clip: int) -> None:
    """Every frame of a clip, real or made from it, has the content of the first; another clip has not."""
    places = [
        place_of(PurePath(side, pattern.format(clip, f"{n:04d}") + ".jpg"))
        for side in ("real", "fake/gen")
        for n in (0, 7)
    ]
    other = place_of(PurePath("real", pattern.format(clip + 100, "0000") + ".jpg"))
    assert len({place.content for place in places if place}) == 1
    assert other is not None
    assert other.content not in {place.content for place in places if place}
