"""Which detectors a miner serves, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

from detectors.acceleration.accelerate import backend_of, drift
from detectors.acceleration.benchmark import examples
from detectors.checkpoints import HERE, write
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from neurons.miner.loading import load_detectors
from neurons.miner.settings import DetectorSettings
from subnet.errors import CheckpointError, SettingsError, UnknownName
from subnet.types import Modality


@pytest.mark.timeout(300)
def test_served_fast_and_plain_answer_alike() -> None:
    """By default onnxruntime serves on a CPU; no score moves by more than 1e-3, and the weights keep their name."""
    fast = load_detectors(DetectorSettings("npr", "random-video", "cpu"))[Modality.IMAGE]["cpu"]
    plain = load_detectors(DetectorSettings("npr", "random-video", "cpu", serving="plain"))[Modality.IMAGE]["cpu"]
    kinds = [backend.engine if backend else "" for backend in map(backend_of, (fast, plain))]
    assert kinds == ["onnx", "eager"]
    assert drift(fast, plain, examples(Modality.IMAGE, 4)) <= 1e-3
    assert fast.weights_hash == plain.weights_hash


def test_own_weights_are_served(tmp_path: Path) -> None:
    """A checkpoint file, alone or with the name it belongs to, answers as the detector that it was made for."""
    file = tmp_path / "mine.safetensors"
    file.write_bytes((HERE / "npr.safetensors").read_bytes())
    ours = load_detectors(DetectorSettings(str(file), f"frames={file}", "cpu", serving="plain"))
    named = load_detectors(DetectorSettings("npr", "frames", "cpu", serving="plain"))
    for modality in Modality:
        assert drift(ours[modality]["cpu"], named[modality]["cpu"], examples(modality, 2)) == 0
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors is not a file"):
        load_detectors(DetectorSettings("nowhere.safetensors", "frames", "cpu"))


def test_a_detector_of_the_other_modality_is_refused() -> None:
    """The message names the flag and what fits; an unknown name gets a proposal."""
    with pytest.raises(SettingsError, match="--detector.video npr: it does not answer videos; take one of"):
        load_detectors(DetectorSettings("npr", "npr"))
    with pytest.raises(UnknownName, match="frames"):
        load_detectors(DetectorSettings("npr", "frame"))


@pytest.mark.parametrize("serving", ["fast", "plain"])
def test_weights_that_answer_nothing_stop_a_miner(tmp_path: Path, serving: Literal["fast", "plain"]) -> None:
    """Tensors that are finite and answers that are not: the flag and the file are named before anything is published."""
    network = NPR()
    with torch.no_grad():
        network.conv1.weight.fill_(3e38)
    write(tmp_path / "mine.safetensors", network.state_dict(), preprocess=Preprocess(), notes={"detector": "npr"})
    wanted = DetectorSettings(str(tmp_path / "mine.safetensors"), "random-video", "cpu", serving=serving)
    with pytest.raises(CheckpointError, match=r"--detector\.image .*mine\.safetensors: .*self-test of npr failed"):
        load_detectors(wanted)
