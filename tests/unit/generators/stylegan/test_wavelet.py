"""The Haar transform against PyWavelets."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st

from generators.stylegan.wavelet import BANDS, Haar, InverseHaar


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_there_and_back(batch: int, channels: int, height: int, width: int, seed: int) -> None:
    """Transform and inverse are PyWavelets' of every channel, and one undoes the other."""
    x = np.random.default_rng(seed).normal(size=(batch, channels, 2 * height, 2 * width))
    mean, details = pywt.dwt2(x, "haar")
    bands = Haar()(torch.from_numpy(x))
    np.testing.assert_allclose(bands.numpy(), np.concatenate([mean, *details], 1), atol=1e-12)
    back = InverseHaar()(bands)
    np.testing.assert_allclose(back.numpy(), pywt.idwt2((mean, details), "haar"), atol=1e-12)
    np.testing.assert_allclose(back.numpy(), x, atol=1e-12)


@pytest.mark.parametrize(("module", "sign"), [(Haar, 1), (InverseHaar, -1)])
def test_kernels_of_the_public_layout(module: type[Haar | InverseHaar], sign: int) -> None:
    """The four buffers that files carry, with their signs."""
    h = 0.5
    wanted = {
        "ll": [[h, h], [h, h]],
        "lh": [[-h * sign, -h * sign], [h * sign, h * sign]],
        "hl": [[-h * sign, h * sign], [-h * sign, h * sign]],
        "hh": [[h, -h], [-h, h]],
    }
    state = module().state_dict()
    assert list(state) == list(BANDS)
    assert {key: value.tolist() for key, value in state.items()} == wanted
