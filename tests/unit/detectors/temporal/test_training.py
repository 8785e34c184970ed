"""The three detectors of motion, trained for real on a few clips, and what comes out served and explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detectors.checkpoints import HERE, read
from detectors.explain.maps import explainable, heat_map
from detectors.explain.timeline import timeline
from detectors.loading import open_detector
from detectors.torch_detector import TorchDetector
from detectors.training.batches import BatchPlan
from detectors.training.loop import Training, train
from subnet.errors import CheckpointError
from subnet.types import Media
from tests.unit.detectors.folders import write_clips

PLAN = BatchPlan(pairs=1, crop=32, frames=8, span=8)
NAMES = ("temporal-lstm", "temporal-3d", "temporal-trajectory")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    write_clips(root / "train", 2, 8)
    write_clips(root / "validation", 1, 8)
    return root


@pytest.fixture(scope="module", params=NAMES)
def trained(request: pytest.FixtureRequest, root: Path) -> Path:
    name = request.param
    settings = Training(
        name,
        root / "train",
        root / f"{name}.safetensors",
        steps=2,
        plan=PLAN,
        init=HERE / "npr.safetensors",
        evaluate_every=2,
        validation_items=2,
    )
    return train(settings).weights


def test_trained_weights_are_served_and_explained(trained: Path) -> None:
    """A file says whose it is and how large; one of 2-3 frames is judged; heat lies on all eight frames of a view."""
    detector = open_detector(str(trained))
    assert isinstance(detector, TorchDetector)
    assert detector.name == read(trained).notes["detector"] == trained.stem
    rng = np.random.default_rng(0)
    clip = Media(rng.integers(0, 256, (12, 256, 256, 3), dtype=np.uint8), 10.0)
    assert detector.views(clip).shape == (4, 8, 3, 112, 112)
    detector.preprocess = replace(detector.preprocess, size=32)
    assert all(0.0 <= answer.p_synthetic <= 1.0 for answer in detector.predict([clip, Media(clip.frames[:2], 10.0)]))
    heat = heat_map(explainable(detector), clip)
    assert heat.heat.shape == (4, 64, 128)
    assert heat.pictures.shape == (4, 64, 128, 3)
    assert [moment.frame for moment in timeline(detector, clip)] == list(range(2, 10))


def test_the_trained_body_is_npr(trained: Path) -> None:
    """The first stage is that of the npr which training began with: only what is named to learn has learnt."""
    state, npr = read(trained).state, read(HERE / "npr.safetensors").state
    key = "layer1.0.conv2.weight"
    own = state.get(f"encoder.{key}", state.get(key))
    assert own is not None
    assert np.array_equal(own.reshape(npr[key].shape).numpy(), npr[key].numpy())


def test_weights_of_another_kind_are_refused(root: Path) -> None:
    """Each network says what it misses in the weights of another."""
    for name in NAMES:
        with pytest.raises(CheckpointError, match="weights:"):
            open_detector(f"{name}={HERE / 'ucf.safetensors'}")
