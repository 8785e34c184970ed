"""From frames to tensors, and the detector built around a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors.npr.network import NPR
from detectors.pixels.clips import even_spacing
from detectors.preprocess import prepare, tiles
from detectors.rows import ONE, ZERO, Preprocess
from detectors.torch_detector import TorchDetector, torch_device
from subnet.errors import MediaUnreadable, SettingsError
from subnet.types import Media, Modality


def picture(height: int, width: int, seed: int = 0) -> Media:
    return Media(np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8))


def test_the_right_size_is_left_alone() -> None:
    """At 256x256 every rule but the scaling of values is the identity: no pixel is resampled."""
    media = picture(256, 256)
    expected = torch.from_numpy(media.frames.copy()).permute(0, 3, 1, 2) / 255.0
    for rule in ("keep", "squash", "centre", "tiles"):
        assert torch.allclose(prepare(media.frames, Preprocess(ZERO, ONE, 256, rule)), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (2000, 3), (301, 517)])
def test_any_shape_reaches_the_networks_size(size: tuple[int, int]) -> None:
    """Pictures of one pixel, of one row, and large ones come out square."""
    for rule in ("squash", "centre"):
        assert prepare(picture(*size).frames, Preprocess(size=64, rule=rule)).shape == (1, 3, 64, 64)


def test_tiles_are_the_corners() -> None:
    """Tiles are cut, not resized, and together they touch all four corners."""
    x = torch.arange(2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
    cut = tiles(x, 10)
    assert cut.shape == (4, 2, 3, 10, 10)
    assert torch.equal(cut[0], x[..., :10, :10])
    assert torch.equal(cut[3], x[..., 6:, 6:])


def test_frames_are_spread_evenly() -> None:
    """Never more than there are, never one twice, and from the whole length."""
    assert even_spacing(3, 8) == [0, 1, 2]
    assert even_spacing(16, 8) == [1, 3, 5, 7, 9, 11, 13, 15]
    assert even_spacing(9, 1) == [4]


def test_a_batch_equals_one_by_one() -> None:
    """A prediction depends on its own item only, whatever stands beside it and whatever its size."""
    detector = TorchDetector("npr", Modality.IMAGE, NPR(), preprocess=Preprocess(size=64, rule="keep"), batch=2)
    batch = [picture(64, 64, 1), picture(64, 64, 2), picture(64, 64, 3), picture(80, 64, 4), picture(64, 64, 5)]
    together = [prediction.p_synthetic for prediction in detector.predict(batch)]
    alone = [detector.predict([media])[0].p_synthetic for media in batch]
    assert together == pytest.approx(alone, abs=1e-5)
    assert detector.predict([]) == []


def test_the_wrong_modality_is_refused() -> None:
    """A video for an image detector is told so, not judged by its first frame."""
    detector = TorchDetector("npr", Modality.IMAGE, NPR(), preprocess=Preprocess())
    clip = Media(np.zeros((4, 32, 32, 3), dtype=np.uint8), fps=10.0)
    with pytest.raises(MediaUnreadable, match="judges image media"):
        detector.predict([clip])


@pytest.mark.parametrize("name", ["cuda:99", "abacus", "meta"])
def test_a_missing_device_is_named(name: str) -> None:
    """A device that is not there or not supported is a settings error that says what to use."""
    with pytest.raises(SettingsError, match="cpu"):
        torch_device(name)


def test_impossible_preprocessing_is_refused() -> None:
    """Zero deviation, an unknown rule and no pixels are ValueErrors."""
    for wrong in ({"std": (0.0, 1.0, 1.0)}, {"rule": "stretch"}, {"size": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Preprocess(**wrong)
