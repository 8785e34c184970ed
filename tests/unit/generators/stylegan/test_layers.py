"""Layers against the formulas of the papers, computed in another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor, nn
from torch.nn import functional

from generators.stylegan.layers import Blur, Downsample, EqualConv2d, EqualLinear, ModulatedConv2d, PixelNorm, Upsample

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8


def sampled(x_BCHW: Tensor, up: int, down: int, taps: np.ndarray) -> np.ndarray:
    """Up, filter, down along both axes by scipy, without any padding taken off."""
    rows = scipy.signal.upfirdn(taps, x_BCHW.numpy(), up, down, axis=2)
    return scipy.signal.upfirdn(taps, rows, up, down, axis=3)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("upsample", [True, False])
def test_modulated_convolution_has_weights_of_its_own_for_every_sample(demodulate: bool, upsample: bool) -> None:
    """Scaling inputs and outputs equals a loop over samples that modulates and normalises the weights themselves."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(5, 7, 3, 6, demodulate=demodulate, upsample=upsample).double()
    x_BCHW, w_BS = torch.randn(3, 5, 6, 4, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    styles = w_BS @ (layer.modulation.weight / math.sqrt(6)).T + layer.modulation.bias
    wanted = []
    for x_CHW, style_I in zip(x_BCHW, styles, strict=True):
        weight = layer.weight[0] / math.sqrt(5 * 9) * style_I[None, :, None, None]
        if demodulate:
            weight = torch.stack([one / torch.sqrt((one**2).sum() + 1e-8) for one in weight])
        if upsample:
            wide = functional.conv_transpose2d(x_CHW[None], weight.transpose(0, 1), stride=2)
            blurred = sampled(wide.detach(), 1, 1, 2 * TAPS)[..., 2:-2, 2:-2]
            wanted.append(torch.from_numpy(blurred)[0])
        else:
            wanted.append(functional.conv2d(x_CHW[None], weight, padding=1)[0])
    torch.testing.assert_close(layer(x_BCHW, w_BS), torch.stack(wanted))


def test_demodulation_keeps_unit_variance() -> None:
    """Unit-variance inputs come out with unit variance however strong the style is."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(64, 64, 3, 8)
    out = layer(torch.randn(8, 64, 16, 16), 20 * torch.randn(8, 8))
    assert 0.85 < float(out[..., 1:-1, 1:-1].detach().std()) < 1.15


def test_resampling_is_up_filter_down() -> None:
    """Blur, upsampling and downsampling equal scipy's `upfirdn` with the binomial filter, zeros around."""
    x_BCHW = torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = {
        "up": sampled(x_BCHW, 2, 1, 2 * TAPS)[..., 1:-1, 1:-1],
        "down": sampled(x_BCHW, 1, 1, TAPS)[..., 2:-2:2, 2:-2:2],
        "blur": sampled(x_BCHW, 1, 1, TAPS)[..., 1:-1, 1:-1],
    }
    layers: dict[str, nn.Module] = {"up": Upsample(), "down": Downsample(), "blur": Blur(pad=2)}
    for name, layer in layers.items():
        torch.testing.assert_close(layer.double()(x_BCHW), torch.from_numpy(wanted[name]), msg=name)
    assert layers["up"](x_BCHW).shape == (2, 3, 16, 12)
    assert layers["down"](x_BCHW).shape == (2, 3, 4, 3)


def test_learning_rates_are_equal() -> None:
    """Weights are stored with unit variance and scaled by 1/sqrt(fan in) when used; `rate` slows weight and bias."""
    torch.manual_seed(0)
    linear, slow, conv = EqualLinear(400, 300), EqualLinear(400, 300, rate=0.01, bias=1.0), EqualConv2d(40, 30, 3)
    for weight, deviation in ((linear.weight, 1), (slow.weight, 100), (conv.weight, 1)):
        assert float(weight.detach().std()) == pytest.approx(deviation, rel=0.05)
    x_BI = torch.randn(5, 400)
    torch.testing.assert_close(linear(x_BI), x_BI @ linear.weight.T / 20)
    torch.testing.assert_close(slow(x_BI), 0.01 * (x_BI @ slow.weight.T / 20 + slow.bias))
    x_BCHW = torch.randn(1, 40, 5, 5)
    torch.testing.assert_close(conv(x_BCHW), functional.conv2d(x_BCHW, conv.weight / math.sqrt(360)))


def test_latents_are_normalised() -> None:
    """Every latent leaves with a mean square of one."""
    normal = PixelNorm()(7 * torch.randn(4, 32, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(normal.square().mean(1), torch.ones(4))
