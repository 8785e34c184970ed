"""Which detectors a miner serves, and how."""

from __future__ import annotations

import pytest

from detectors.serving.accelerate import drift, serving_of
from detectors.serving.benchmark import examples
from neurons.miner import Detectors, load_detectors
from subnet.errors import SettingsError, UnknownName
from subnet.types import Modality


@pytest.mark.timeout(300)
def test_served_fast_and_plain_answer_alike() -> None:
    """By default onnxruntime serves on a CPU; no score moves by more than 1e-3, and the weights keep their name."""
    fast = load_detectors(Detectors("npr", "random-video", "cpu"))[Modality.IMAGE]
    plain = load_detectors(Detectors("npr", "random-video", "cpu", serving="plain"))[Modality.IMAGE]
    kinds = [serving.backend if serving else "" for serving in map(serving_of, (fast, plain))]
    assert kinds == ["onnx", "eager"]
    assert drift(fast, plain, examples(Modality.IMAGE, 4)) <= 1e-3
    assert fast.weights_hash == plain.weights_hash


def test_a_detector_of_the_other_modality_is_refused() -> None:
    """The message names the flag and what fits; an unknown name gets a proposal."""
    with pytest.raises(SettingsError, match="--detector.video npr: it does not answer videos; take one of"):
        load_detectors(Detectors("npr", "npr"))
    with pytest.raises(UnknownName, match="frames"):
        load_detectors(Detectors("npr", "frame"))
