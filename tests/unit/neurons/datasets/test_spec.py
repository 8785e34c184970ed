"""Data sets: clips out of photographs, and which of them a set holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.datasets.pans import FASTEST, FRAMES, ROOM, SIDE, PannedPhotos, pan
from neurons.datasets.spec import DataSpec, materialise
from subnet.errors import SettingsError, SourceEmpty
from subnet.media import embedded
from subnet.types import Label, Media, Modality, Split


def numbered(height: int, width: int) -> Media:
    """An image whose pixels say where they are."""
    down, across = np.indices((height, width))
    pixels = np.stack([down // 2, across // 2, 2 * (down % 2) + across % 2], axis=-1).astype(np.uint8)
    return Media(pixels[None], None)


def corner(frame: np.ndarray) -> tuple[int, int]:
    """Where in a `numbered` image a frame begins."""
    first = frame[0, 0].astype(int)
    return int(2 * first[0] + first[2] // 2), int(2 * first[1] + first[2] % 2)


@given(st.integers(SIDE + ROOM, 500), st.integers(SIDE + ROOM, 500), st.integers(0, 2**32))
def test_a_pan_shows_the_photograph_untouched(height: int, width: int, seed: int) -> None:
    """Each frame is a window of the picture at whole pixels, and the window moves steadily one way."""
    photo = numbered(height, width)
    clip = pan(photo, np.random.default_rng(seed))
    assert clip.frames.shape == (FRAMES, SIDE, SIDE, 3)
    assert clip.fps
    places = np.array([corner(frame) for frame in clip.frames])
    for frame, (top, left) in zip(clip.frames, places, strict=True):
        assert np.array_equal(frame, photo.frames[0, top : top + SIDE, left : left + SIDE])
    steps = np.diff(places, axis=0)
    assert np.abs(steps).max() <= FASTEST + 1
    for way in steps.T:
        assert (way >= 0).all() or (way <= 0).all()


def test_a_photograph_that_is_too_small_is_refused() -> None:
    """The error gives the size that is needed and the size that was met."""
    with pytest.raises(ValueError, match="288 pixels each way, the image has 300x287"):
        pan(numbered(287, 300), np.random.default_rng(0))


@pytest.mark.parametrize("split", list(Split))
def test_pans_keep_to_their_split(split: Split) -> None:
    """Every photograph panned over belongs to the split, and nothing but real video is given."""
    own = {item.id for item in embedded.items(Modality.IMAGE, split)}
    source, rng = PannedPhotos(split), np.random.default_rng(0)
    assert {source.draw(Modality.VIDEO, Label.REAL, rng).provenance.item for _ in range(4)} <= own
    for modality, label in ((Modality.IMAGE, Label.REAL), (Modality.VIDEO, Label.SYNTHETIC)):
        with pytest.raises(SourceEmpty):
            source.draw(modality, label, rng)


@pytest.mark.parametrize(("modality", "pans"), [(Modality.IMAGE, 0.5), (Modality.VIDEO, -0.1), (Modality.VIDEO, 1.1)])
def test_a_share_that_makes_no_sense_is_refused(modality: Modality, pans: float) -> None:
    """Images have no pans, and a share lies between 0 and 1."""
    with pytest.raises(SettingsError, match="pans"):
        DataSpec(Split.TRAIN, modality, pans=pans)


def test_a_set_of_pans_has_photographs_and_their_twins(tmp_path: Path) -> None:
    """With all clips panned, real items are photographs by name, and a twin has the content of its real item."""
    spec = DataSpec(Split.TRAIN, Modality.VIDEO, 1, 1, 0, ("video-latent",), pans=1.0)
    assert spec.folder != DataSpec(Split.TRAIN, Modality.VIDEO, 1, 1, 0, ("video-latent",)).folder
    rows = [json.loads(line) for line in (materialise(spec, tmp_path) / "index.jsonl").read_text().splitlines()]
    photos = {item.id for item in embedded.items(Modality.IMAGE, Split.TRAIN)}
    assert [row["label"] for row in rows] == [0, 1]
    assert {row["item"] for row in rows} <= photos
    assert len({row["pair"] for row in rows}) == 1
    assert {row["modality"] for row in rows} == {"video"}


def test_a_set_of_temporal_twins(tmp_path: Path) -> None:
    """Pairs of one clip of both labels and as many as asked, with the kinds asked for in turn as origins; another folder
    than without; refused of images and of kinds that are not there."""
    spec = DataSpec(Split.TRAIN, Modality.VIDEO, 1, 2, 0, ("light", "order"), pans=1.0, motion=True)
    rows = [json.loads(line) for line in (materialise(spec, tmp_path) / "index.jsonl").read_text().splitlines()]
    assert len(rows) == spec.items == 4
    assert [row["label"] for row in rows] == [0, 1, 0, 1]
    assert [row["origin"] for row in rows] == ["embedded", "uneven-light", "embedded", "uneven-order"]
    assert len({row["item"] for row in rows}) == 1
    assert rows[0]["pair"] == rows[1]["pair"] != rows[2]["pair"] == rows[3]["pair"]
    assert spec.folder != DataSpec(Split.TRAIN, Modality.VIDEO, 1, 2, 0, ("light", "order"), pans=1.0).folder
    with pytest.raises(SettingsError, match="motion: images have none"):
        DataSpec(Split.TRAIN, Modality.IMAGE, motion=True)
    with pytest.raises(SettingsError, match="swai is no kind of temporal twins; there are noise, sway"):
        materialise(DataSpec(Split.TRAIN, Modality.VIDEO, 1, 1, 0, ("swai",), motion=True), tmp_path)
