"""Cards on disk: whose they are, and what is said of those that are damaged or of other weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors import TABLE, load_detector
from detectors.checkpoints import HERE, sha256_of, write
from detectors.claims.card import Card, Reach
from detectors.claims.density import fit
from detectors.claims.shelf import claims_of, keep, keep_density, place, trained_on, weights_file
from detectors.loading import open_detector
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from subnet.errors import CheckpointError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """An NPR with random weights that says what it learnt from."""
    torch.manual_seed(0)
    path = tmp_path / "own.safetensors"
    notes = {"detector": "npr", "origins": ["b", "a"]}
    write(path, NPR().state_dict(), preprocess=Preprocess(size=64), notes=notes)
    return path


def test_cards_lie_beside_their_weights(weights: Path) -> None:
    """Beside a file that was named, by itself or with NAME=; those of rows with the weights that ship."""
    detector = open_detector(str(weights))
    for text in (str(weights), f"npr={weights}"):
        assert place(text, detector) == weights.with_suffix("")
        assert weights_file(text, detector) == weights
    assert place("vit_cam", load_detector("vit_cam")) == HERE / "vit_cam"
    assert place("constant", load_detector("constant")) == HERE / "constant"
    assert weights_file("constant", load_detector("constant")) is None


def test_what_was_kept_is_found(weights: Path) -> None:
    """The card and its density; nothing where there is no card."""
    detector, stem = open_detector(str(weights)), weights.with_suffix("")
    assert claims_of(str(weights), detector).card == Card("npr", sha256_of(weights))
    density = fit(np.random.default_rng(0).normal(size=(9, 512)).astype(np.float32))
    card = Card("npr", sha256_of(weights), ("a",), Reach("d", 9, 5, 0.9, 0.0, 0.0, 2.0, keep_density(stem, density)))
    keep(stem, card)
    found = claims_of(str(weights), detector)
    assert found.card == card
    assert found.density is not None
    np.testing.assert_array_equal(found.density.mean, density.mean)
    keep_density(stem, fit(np.random.default_rng(1).normal(size=(9, 512)).astype(np.float32)))
    with pytest.raises(CheckpointError, match=r"own.density.safetensors is not the file that the card"):
        claims_of(str(weights), detector)
    stem.with_name("own.density.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"own.density.safetensors is no density"):
        claims_of(str(weights), detector)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"detector": 3}', "\x00\xff"])
def test_a_damaged_card_is_told(weights: Path, text: str) -> None:
    """A card that cannot be read is no card that says nothing."""
    weights.with_name("own.claims.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"claims: .*own.claims.json is no card"):
        claims_of(str(weights), open_detector(str(weights)))


def test_a_card_of_other_weights_is_refused(weights: Path) -> None:
    """Trained on, the weights are others, and nothing was measured of them."""
    keep(weights.with_suffix(""), Card("npr", "0" * 64))
    with pytest.raises(CheckpointError, match=r"is of weights 000000000000\.\.\., and these are .*assay claim"):
        claims_of(str(weights), open_detector(str(weights)))


def test_weights_say_what_they_were_trained_on(weights: Path) -> None:
    """Origins of the metadata; a stack's are those of its members."""
    assert trained_on(weights) == ("a", "b")
    assert trained_on(HERE / TABLE["ensemble"].weights) == trained_on(HERE / TABLE["npr"].weights)
    assert "ae-shuffle" in trained_on(HERE / TABLE["npr"].weights)


def test_members_without_names_are_passed_over(tmp_path: Path) -> None:
    """Metadata of strangers may hold anything."""
    write(tmp_path / "odd.safetensors", {}, preprocess=Preprocess(), notes={"members": [{}, {"detector": "nobody"}]})
    assert trained_on(tmp_path / "odd.safetensors") == ()
    assert replace(Card("x", "y"), trained_on=()).trained_on == ()
