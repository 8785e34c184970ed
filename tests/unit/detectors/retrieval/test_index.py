"""An index says which known picture it is given, by which evidence, and nothing about others."""

from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
import pytest
import torch
from PIL import Image

from detectors.checkpoints import read, write
from detectors.dataset.fingerprints import prints
from detectors.dataset.items import read_folder
from detectors.families import family
from detectors.loading import open_detector
from detectors.preprocess import prepare
from detectors.public_checkpoints import build
from detectors.retrieval.index import Index, Match, entry, fill, log_odds, open_index, texture
from detectors.torch_detector import TorchDetector
from detectors.training.loop import Progress, Training, train
from neurons.commands.audit import audit
from subnet.codec import image as codec
from subnet.errors import CheckpointError, DataError
from subnet.game.operators import jpeg
from subnet.game.variant import move
from subnet.types import Label, Media
from tests.unit.detectors.folders import assert_paced, photos, write_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("known") / "train", 12)


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    settings = Training("retrieval", folder, folder.parent / "retrieval.safetensors", validation=folder)
    told: list[Progress] = []
    done = train(settings, told.append)
    assert_paced(told)
    assert done.auc > 0.55  # of what it knows, three in four at levels that crop and turn
    return done.weights


def index_of(weights: Path) -> Index:
    network = build(read(weights), "retrieval")
    assert isinstance(network, Index)
    return network


def looked_up(index: Index, media: Media) -> Match | None:
    return index.matches(prepare(media.frames, family("retrieval").preprocess))[0]


def test_the_same_pixels_are_found_exactly(weights: Path) -> None:
    """Each photograph by its digest, with its own name, real, and sure."""
    index = index_of(weights)
    for name, media in photos(4):
        match = looked_up(index, media)
        assert match is not None
        assert (match.by, match.label, match.margin) == ("exact", Label.REAL, 1.0)
        assert match.name == f"embedded/{name}"
        assert (match.bits, match.distance) == (0, pytest.approx(0, abs=1e-2))


def test_other_files_of_the_same_picture_are_found(weights: Path) -> None:
    """As JPEG or moved by the hash, in the mirror or upside down by the embedding: the content that it is."""
    index = index_of(weights)
    name, media = photos(1)[0]
    for changed, by in (
        (Media(jpeg(media.frames, 70)), "hash"),
        (Media(move(media.frames, 5, -6)), "hash"),
        (Media(media.frames[:, :, ::-1]), "embedding"),
        (Media(media.frames[:, ::-1]), "embedding"),
    ):
        match = looked_up(index, changed)
        assert match is not None
        assert match.by == by
        assert match.name.endswith(name)


def test_unknown_pictures_get_no_opinion(weights: Path) -> None:
    """Photographs of another split are in no net: log-odds 0, probability one half."""
    detector = open_detector(f"retrieval={weights}")
    strangers = [media for _, media in photos(8, "test")]
    assert [answer.p_synthetic for answer in detector.predict(strangers)] == [0.5] * 8
    assert detector.predict([photos(1)[0][1]])[0].p_synthetic == pytest.approx(0.01)


def test_versions_of_one_content_are_told_apart(weights: Path, folder: Path) -> None:
    """A photograph and its blurred twin share the content: mild compression leaves each nearer to itself."""
    index = index_of(weights)
    right = []
    for record in read_folder(folder):
        media = codec.decode_image(record.path.read_bytes())
        match = looked_up(index, Media(jpeg(media.frames, 92)))
        right.append(match is not None and match.label is record.label)
    assert np.mean(right) > 0.9


def test_the_hash_is_imagehashs_and_the_texture_is_that_of_a_block_dct() -> None:
    """One definition, the library's; the first number of the texture is the mean of the blocks."""
    (_, media), *_ = photos(1)
    given = entry(media)
    bits = imagehash.phash(Image.fromarray(media.frames[0])).hash.astype(np.uint8)
    assert given.hash == int.from_bytes(np.packbits(bits).tobytes())
    flat = np.full((16, 16, 3), 100, dtype=np.uint8)
    assert texture(flat)[0] == pytest.approx(np.log(800.1), abs=1e-3)
    assert texture(flat)[1:] == pytest.approx(np.log(0.1), abs=1e-2)


def test_doubt_between_labels_is_said() -> None:
    """As near to a real item as to a synthetic one: no opinion; without another label: sure."""
    match = Match("a", Label.SYNTHETIC, "hash", 1, 1.0, 0.1, 0.0)
    assert log_odds(match) == 0.0
    assert log_odds(None) == 0.0
    assert log_odds(Match("a", Label.REAL, "hash", 1, 1.0, 0.1, 1.0)) == pytest.approx(-np.log(99))


def test_indexes_that_do_not_hold_together_are_refused(tmp_path: Path) -> None:
    """Fewer labels than items, labels of neither class, another detector's weights; an empty index knows nothing."""
    index = Index(2)
    state = index.state_dict()
    for wrong in ({"labels": torch.zeros(3, dtype=torch.uint8)}, {"labels": torch.tensor([1, 7], dtype=torch.uint8)}):
        path = tmp_path / "wrong.safetensors"
        write(path, {**state, **wrong}, preprocess=family("retrieval").preprocess)
        with pytest.raises(CheckpointError, match="no index"):
            open_index(path)
    assert looked_up(Index(0), photos(1)[0][1]) is None


def test_an_index_guards_a_data_set(weights: Path, tmp_path: Path, folder: Path) -> None:
    """The validator's leak detector: a data set with a known picture in it is refused by the audit, with the pair."""
    index = open_index(weights)
    known = prints(read_folder(folder))
    assert sorted(index.prints().hashes.tolist()) == sorted(known.hashes.tolist())
    fresh = write_images(tmp_path / "fresh", 12, "test")
    with pytest.raises(DataError, match="look-alikes") as caught:
        audit(str(folder), known=(weights,), json=True)
    assert "0 look-alikes" not in str(caught.value)
    with pytest.raises(DataError) as clean:  # its twins are given away by other traits, not by look-alikes
        audit(str(fresh), known=(weights,), json=True)
    assert "0 look-alikes" in str(clean.value)


def test_it_is_a_detector_like_others(weights: Path) -> None:
    """Loaded by its file alone, it answers through the same class as any network."""
    detector = open_detector(str(weights))
    assert isinstance(detector, TorchDetector)
    assert detector.name == "retrieval"
    filled = Index(1)
    fill(filled, [entry(photos(1)[0][1])], [1], ["x" * 200])
    assert filled.name(0) == "x" * 80
