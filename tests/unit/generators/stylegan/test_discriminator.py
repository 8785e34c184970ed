"""The discriminators: sizes, the deviation within a batch, and names of the public layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from generators.stylegan.discriminator import Discriminator, WaveletDiscriminator, discriminator

WIDTHS = (8, 8, 8, 4)


@pytest.mark.parametrize(("wavelet", "side"), [(False, 32), (True, 64)])
@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_one_logit_for_each_picture(wavelet: bool, side: int, batch: int) -> None:
    """Any size of a batch, also one that groups of four do not divide."""
    network = discriminator(WIDTHS, wavelet=wavelet)
    assert network(torch.randn(batch, 3, side, side)).shape == (batch, 1)


def test_deviation_within_groups() -> None:
    """The added channel is the mean deviation of features over a group of four, which every fourth picture forms."""
    torch.manual_seed(0)
    network = Discriminator(WIDTHS[::-1])
    inputs = []
    network.final_conv.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    features = torch.randn(8, 8, 4, 4)
    network.judge(features)
    x = features.numpy()
    wanted = [np.sqrt(x[start::2].var(0) + 1e-8).mean() for start in range(2)]
    for at in range(8):
        np.testing.assert_allclose(inputs[0][at, -1].numpy(), wanted[at % 2], rtol=1e-5)


def test_names_of_the_public_layout() -> None:
    """State dicts of both forms have the keys that public training scripts write."""
    down = ("conv2.0.kernel", "conv2.1.weight", "conv2.2.bias")
    block = ("conv1.0.weight", "conv1.1.bias", *down)
    end = {"final_conv.0.weight", "final_conv.1.bias"}
    end |= {f"final_linear.{at}.{part}" for at in range(2) for part in ("weight", "bias")}
    plain = end | {"convs.0.0.weight", "convs.0.1.bias"}
    plain |= {f"convs.{at}.{key}" for at in (1, 2, 3) for key in (*block, "skip.0.kernel", "skip.1.weight")}
    assert set(Discriminator(WIDTHS[::-1]).state_dict()) == plain
    bands = ("ll", "lh", "hl", "hh")
    wavelet = end | {f"dwt.{band}" for band in bands} | {f"convs.{at}.{key}" for at in range(3) for key in block}
    wavelet |= {f"from_rgbs.{at}.conv.{key}" for at in range(4) for key in ("0.weight", "1.bias")}
    wavelet |= {f"from_rgbs.{at}.downsample.kernel" for at in (1, 2, 3)}
    wavelet |= {f"from_rgbs.{at}.{part}.{band}" for at in (1, 2, 3) for part in ("iwt", "dwt") for band in bands}
    assert set(WaveletDiscriminator(WIDTHS[::-1]).state_dict()) == wavelet
