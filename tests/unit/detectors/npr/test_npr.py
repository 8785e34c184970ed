"""The NPR network."""

from __future__ import annotations

import torch
from torch.nn import functional

from detectors import TABLE
from detectors.npr.network import NPR, residual


def test_size_and_keys_are_the_published_ones() -> None:
    """1,437,761 parameters in 146 tensors, under the names that public checkpoints use."""
    network = NPR()
    state = network.state_dict()
    assert sum(parameter.numel() for parameter in network.parameters()) == TABLE["npr"].parameters == 1_437_761
    assert len(state) == TABLE["npr"].tensors == 146
    assert state["conv1.weight"].shape == (64, 3, 3, 3)
    assert state["fc1.weight"].shape == (1, 512)
    downsample = {".".join(key.split(".")[:4]) for key in state if "downsample" in key}
    assert downsample == {f"layer{n}.0.downsample.{m}" for n in (1, 2) for m in (0, 1)}


def test_residual_is_the_papers() -> None:
    """Slicing gives exactly x - up(down(x)) with nearest neighbours; odd sizes lose the last row or column."""
    x = torch.randn(2, 3, 17, 20)
    even = x[..., :16, :]
    half = functional.interpolate(even, scale_factor=0.5, mode="nearest", recompute_scale_factor=True)
    expected = even - functional.interpolate(half, scale_factor=2.0, mode="nearest")
    assert torch.equal(residual(x), expected)
    assert torch.all(residual(x)[..., ::2, ::2] == 0)


def test_any_size_gives_one_number_each() -> None:
    """The network is fully convolutional: one log-odds per picture at any size."""
    network = NPR().eval()
    with torch.inference_mode():
        assert network(torch.randn(2, 3, 64, 48)).shape == (2,)
        assert network(torch.randn(1, 3, 33, 31)).shape == (1,)


def test_a_constant_shift_does_not_matter() -> None:
    """The residual cancels the mean, so brightness alone never moves the answer."""
    network = NPR().eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), network(x + 0.5), rtol=1e-4, atol=1e-4)
