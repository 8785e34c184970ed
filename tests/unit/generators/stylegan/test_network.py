"""The generator: what it draws depends on styles and noise, layer by layer."""

from __future__ import annotations

import pytest
import torch

from generators.stylegan.network import Generator, Sizes

FORMS = {
    "plain": Sizes(style=12, layers=2, widths=(8, 8, 8, 8, 4)),
    "wavelet": Sizes(style=12, layers=2, widths=(8, 8, 8, 4), wavelet=True),
}


@pytest.fixture(params=FORMS)
def network(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    return Generator(FORMS[request.param]).eval().requires_grad_(False)


def test_size(network: Generator) -> None:
    """Both forms draw 64 pixels; the wavelet form with one resolution fewer."""
    pictures = network(network.spread(network.map(torch.randn(2, 12))))
    assert pictures.shape == (2, 3, 64, 64)
    assert network.sizes.side == 64
    assert max(network.noise_sides()) == (32 if network.sizes.wavelet else 64)


def test_nothing_is_random_but_its_arguments(network: Generator) -> None:
    """The same styles and noise draw the same picture, each sample apart from its batch; other noise another."""
    w_BLS = network.spread(network.map(torch.randn(3, 12)))
    for layer in network.modules():
        if layer.__class__.__name__ == "Noise":
            layer.weight.fill_(0.3)
    chance = torch.Generator().manual_seed(1)
    noise = network.draw_noise(3, chance)
    whole = network(w_BLS, noise)
    alone = network(w_BLS[1:2], [part[1:2] for part in noise])
    torch.testing.assert_close(whole[1:2], alone, rtol=1e-4, atol=1e-5)
    assert torch.equal(network(w_BLS), network(w_BLS))
    assert not torch.allclose(network(w_BLS, network.draw_noise(3, chance)), whole)


def test_every_layer_has_a_style_of_its_own(network: Generator) -> None:
    """Changing one of a sample's styles changes the picture: the number of styles is right, none is passed over."""
    w_BLS = network.spread(network.map(torch.randn(1, 12))).clone()
    before = network(w_BLS)
    for at in range(network.sizes.latents):
        other = w_BLS.clone()
        other[:, at] += 1
        assert not torch.allclose(network(other), before), at
