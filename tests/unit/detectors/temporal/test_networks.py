"""Networks of motion: published sizes, what they start from, and the formulas of trajectories."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from detectors import TABLE
from detectors.checkpoints import HERE, read
from detectors.npr.network import NPR, is_npr
from detectors.rows import Preprocess
from detectors.temporal.frames_lstm import FramesLSTM
from detectors.temporal.frames_lstm import start as start_lstm
from detectors.temporal.inflated import InflatedNPR
from detectors.temporal.inflated import start as start_inflated
from detectors.temporal.trajectory import Trajectory, statistics
from detectors.temporal.views import eight_views
from subnet.errors import CheckpointError
from subnet.types import Media


@pytest.fixture(scope="module")
def npr() -> NPR:
    network = NPR()
    network.load_state_dict(read(HERE / "npr.safetensors").state)
    return network.eval()


def clip(still: bool = False) -> torch.Tensor:
    frames = torch.randn((1, 8, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    return frames[:, :1].expand(-1, 8, -1, -1, -1) if still else frames


@torch.inference_mode()
def test_an_lstm_starts_as_the_mean_over_frames(npr: NPR) -> None:
    """From a trained npr, before any step, the answer is npr's mean; only its last block and the LSTM will learn."""
    network = FramesLSTM(width=8, dense=4).eval()
    start_lstm(network, npr.state_dict())
    assert network(clip()).item() == pytest.approx(npr(clip()[0]).mean().item(), rel=1e-4)
    learning = {name.split(".")[1] for name, p in network.named_parameters() if p.requires_grad and "encoder" in name}
    assert learning == {"layer2", "fc1"}
    assert not network.train().encoder.training


@torch.inference_mode()
def test_an_inflated_npr_starts_as_npr(npr: NPR) -> None:
    """On a still clip its answer is npr's on the frame, at every length of clip."""
    network = InflatedNPR((3, 4)).eval()
    start_inflated(network, npr.state_dict())
    expected = npr(clip(still=True)[0, :1]).item()
    assert network(clip(still=True)).item() == pytest.approx(expected, rel=1e-4)
    assert network(clip(still=True)[:, :4]).item() == pytest.approx(expected, rel=1e-4)
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad} == {"layer2", "fc1"}


def test_a_larger_one_takes_the_stages_that_npr_has(npr: NPR) -> None:
    """With a third stage the first two are npr's; the last layer, wider now, begins anew."""
    network = InflatedNPR((3, 4, 1))
    start_inflated(network, npr.state_dict())
    key = "layer2.3.conv3.weight"
    assert torch.equal(network.state_dict()[key][:, :, 0], npr.state_dict()[key])
    assert network.fc1.weight.shape == (1, 1024)


def test_published_sizes() -> None:
    """An LSTM of 2048 and 512 units on npr; ResNet-50 inflated in every second block; npr with statistics of its own."""
    with torch.device("meta"):
        for name, network in (
            ("temporal-lstm", FramesLSTM()),
            ("temporal-3d", InflatedNPR()),
            ("temporal-trajectory", Trajectory()),
        ):
            row = TABLE[name]
            assert row.parameters == sum(parameter.numel() for parameter in network.parameters())
            assert row.tensors == len(network.state_dict())


def test_statistics_are_those_of_numpy() -> None:
    """D3 and ReStraV by their formulas, one at a time: 1 + 7 distances + 6 angles + 8."""
    path = np.random.default_rng(0).normal(size=(8, 5))
    found = statistics(torch.from_numpy(path)[None])[0].numpy()
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    moves = np.diff(path, axis=0) / steps[:, None]
    angles = np.array([np.arccos(np.dot(a, b)) for a, b in itertools.pairwise(moves)])
    spreads = [f(values) for values in (steps, angles) for f in (np.mean, np.min, np.max, np.var)]
    assert found == pytest.approx([np.std(np.diff(steps)), *steps, *angles, *spreads], abs=1e-5)
    assert len(found) == 22
    assert statistics(torch.from_numpy(path)[None], "d3").item() == pytest.approx(np.std(np.diff(steps)))


def test_a_clip_that_stands_still_has_no_way() -> None:
    """No step, nothing bent beyond a right angle, no number that is not finite, and gradients that are."""
    embeddings = torch.zeros((1, 8, 4), requires_grad=True)
    found = statistics(embeddings)
    found.sum().backward()
    assert found[0, :8].detach().numpy() == pytest.approx(np.zeros(8), abs=2e-3)
    assert embeddings.grad is not None
    assert bool(found.isfinite().all() and embeddings.grad.isfinite().all())


def test_views_are_the_frames_in_the_middle() -> None:
    """Of sixteen frames those from the fifth on; a short clip repeats its last; tiles are not resized."""
    frames = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None, None, None], (16, 256, 256, 3)).copy()
    rules = Preprocess((0.0,) * 3, (1 / 255,) * 3, 64, "tiles", clips="middle")  # type: ignore[arg-type]
    views = eight_views(Media(frames, 25.0), rules, torch.device("cpu"))
    assert views.shape == (4, 8, 3, 64, 64)
    assert views[0, :, 0, 0, 0].round().tolist() == list(range(4, 12))
    short = eight_views(Media(frames[:3], 25.0), rules, torch.device("cpu"))
    assert short[0, :, 0, 0, 0].round().tolist() == [0, 1, 2, 2, 2, 2, 2, 2]


def test_only_an_npr_starts_them() -> None:
    """Other tensors are told apart, and other networks refused."""
    assert not is_npr(InflatedNPR((3, 4)).state_dict())
    with pytest.raises(CheckpointError, match="inflated"):
        start_inflated(NPR(), NPR().state_dict())
