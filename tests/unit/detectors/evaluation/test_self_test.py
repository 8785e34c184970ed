"""The question that a detector is asked before a miner publishes itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from detectors import TABLE, load_detector
from detectors.checkpoints import HERE, write
from detectors.evaluation.self_test import example, self_test
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from detectors.torch_detector import TorchDetector
from subnet.errors import CheckpointError
from subnet.types import Media, Modality, Prediction

PICTURE, CLIP = 21_929_223, 617_935_058  # sums of the example's pixels, a clip's weighted by frame number


@pytest.mark.parametrize("name", [row.name for row in TABLE.values() if row.weights or not row.family + row.requires])
def test_every_row_passes(name: str) -> None:
    """All that ships answers as its row says, and there is an answer for all weights that ship."""
    row = TABLE[name]
    assert (row.self_test is not None) == bool(row.weights)
    self_test(load_detector(name))


def test_the_example_never_changes() -> None:
    """The picture and the clip are the same on every machine, and neither flat nor burnt out."""
    picture, clip = example(Modality.IMAGE).frames, example(Modality.VIDEO).frames
    assert picture.dtype == clip.dtype == np.uint8
    assert (picture.shape, clip.shape) == ((1, 256, 256, 3), (8, 256, 256, 3))
    assert int(picture.astype(np.int64).sum()) == PICTURE
    assert int((clip.astype(np.int64) * np.arange(8).reshape(8, 1, 1, 1)).sum()) == CLIP
    assert picture.std() > 20
    assert np.mean((picture == 0) | (picture == 255)) < 0.01


class Stranger:
    """A detector that answers what it is told to."""

    modality = Modality.IMAGE
    weights_hash = ""

    def __init__(self, answer: Callable[[], float], name: str = "stranger", weights_hash: str = "") -> None:
        self.answer, self.name, self.weights_hash = answer, name, weights_hash

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        return [Prediction(self.answer()) for _ in batch]


def test_answers_that_are_none() -> None:
    """Out of range, no number, another one each time, a failing network, and other numbers than those that ship."""
    rng = np.random.default_rng(0)
    for answer in (lambda: 1.5, lambda: float("nan"), rng.random, lambda: 1 // 0):
        with pytest.raises(CheckpointError, match="stranger"):
            self_test(Stranger(answer))
    for sure in (0.0, 0.25, 1.0):
        self_test(Stranger(lambda sure=sure: sure))  # type: ignore[misc]
        with pytest.raises(CheckpointError, match="npr answers .* and not -13.915"):
            self_test(Stranger(lambda sure=sure: sure, "npr", TABLE["npr"].sha256))  # type: ignore[misc]


def test_it_asks_twice() -> None:
    """A network's answer is computed no third time: the second one is held against the number that ships."""
    answers = iter((0.5, 0.5))
    self_test(Stranger(lambda: next(answers)))
    p_synthetic = 1 / (1 + np.exp(13.915))
    answers = iter((p_synthetic, p_synthetic))
    self_test(Stranger(lambda: next(answers), "npr", TABLE["npr"].sha256))


def overflowing() -> nn.Module:
    """Finite weights whose answers are not."""
    network = NPR()
    with torch.no_grad():
        network.conv1.weight.fill_(3e38)
    return network.eval()


def test_a_network_that_overflows_names_its_weights() -> None:
    """Tensors can all be finite and the answer not: one line, not a traceback, at the self-test and afterwards."""
    detector = TorchDetector("npr", Modality.IMAGE, overflowing(), preprocess=Preprocess(), weights_hash="ab" * 32)
    with pytest.raises(CheckpointError, match="npr .abababababab. answers NaN or infinity"):
        detector.predict([example(Modality.IMAGE)])
    with pytest.raises(CheckpointError, match="self-test of npr failed"):
        self_test(detector)


def test_own_weights_need_no_stored_answer(tmp_path: Path) -> None:
    """Other weights of a network that ships are held to sense alone."""
    torch.manual_seed(0)
    write(tmp_path / "mine.safetensors", NPR().state_dict(), preprocess=Preprocess(), notes={"detector": "npr"})
    self_test(load_detector("npr", weights=tmp_path / "mine.safetensors"))
    assert (HERE / "npr.safetensors").is_file()
