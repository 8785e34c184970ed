"""Merged enlargements: the same function as what they replace, borders included."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from generators.embedded import autoencoder
from generators.embedded.twins import model_for_use
from generators.embedded.upsampling import merge, transposed


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (5, 8)])
def test_one_layer_equals_two(bias: bool, size: tuple[int, int]) -> None:
    """Doubling and then convolving gives the same numbers as the transposed convolution, at the borders too."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, padding=1, bias=bias).double()
    x_BCHW = torch.randn(2, 3, *size, dtype=torch.float64)
    wanted = conv(nn.functional.interpolate(x_BCHW, scale_factor=2, mode="nearest"))
    torch.testing.assert_close(transposed(conv)(x_BCHW), wanted)


def test_only_what_is_equal_is_merged() -> None:
    """Nested pairs are found; another scale, another mode or another convolution is left alone."""
    pair = nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(2, 2, 3, padding=1))
    others = [
        nn.Sequential(nn.Upsample(scale_factor=4, mode="nearest"), nn.Conv2d(2, 2, 3, padding=1)),
        nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(2, 2, 3, padding=1)),
        nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(2, 2, 3, padding=1, groups=2)),
        nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(2, 2, 5, padding=2)),
    ]
    network = nn.Sequential(pair, *others)
    x_BCHW = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    before = network(x_BCHW)
    assert merge(network) == 1
    assert merge(network) == 0
    torch.testing.assert_close(network(x_BCHW), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", autoencoder.KINDS)
def test_the_quick_autoencoder_draws_the_same_pictures(kind: str) -> None:
    """What generators use gives the pixels of the trained network, but for the rounding of very few."""
    x_BCHW = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        slow = autoencoder.to_pixels(autoencoder.load_autoencoder()(x_BCHW, kind)).astype(int)
        quick = autoencoder.to_pixels(model_for_use("cpu")(x_BCHW, kind)).astype(int)
    assert abs(slow - quick).max() <= 1
    assert (slow != quick).mean() < 1e-3
