"""Losses against their formulas, with gradients worked out by hand."""

from __future__ import annotations

import torch

from generators.training import adversarial


def test_logistic_losses() -> None:
    """The generator minimises -log D(fake), the discriminator -log D(real) - log(1 - D(fake))."""
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-3.0]])
    torch.testing.assert_close(adversarial.generator_loss(fake), -torch.sigmoid(fake).log().mean())
    wanted = -torch.sigmoid(real).log().mean() - (1 - torch.sigmoid(fake)).log().mean()
    torch.testing.assert_close(adversarial.discriminator_loss(real, fake), wanted)
    far = torch.tensor([[1000.0], [-1000.0]])
    assert adversarial.discriminator_loss(far, far).isfinite()
    assert adversarial.generator_loss(far).isfinite()


def test_gradient_penalty() -> None:
    """Of D(x) = sum of a * x^3 it is the mean of |3 a x^2|^2 over pictures, and its gradient for a is 18 a x^4."""
    chance = torch.Generator().manual_seed(0)
    a_CHW = torch.randn(3, 4, 4, generator=chance, dtype=torch.float64).requires_grad_()
    x_BCHW = torch.randn(5, 3, 4, 4, generator=chance, dtype=torch.float64).requires_grad_()
    logits_B1 = (a_CHW * x_BCHW**3).sum((1, 2, 3))[:, None]
    penalty = adversarial.gradient_penalty(logits_B1, x_BCHW)
    by_hand = torch.stack([(3 * a_CHW * x_CHW**2).square().sum() for x_CHW in x_BCHW]).mean()
    torch.testing.assert_close(penalty, by_hand)
    (gradient,) = torch.autograd.grad(penalty, a_CHW)
    torch.testing.assert_close(gradient, (18 * a_CHW * x_BCHW**4).mean(0))


def test_path_lengths() -> None:
    """Of a linear generator, x = sum over layers of A w, the gradient is A turned around times the noise."""
    chance = torch.Generator().manual_seed(0)
    a_PS = torch.randn(3 * 4 * 6, 7, generator=chance, dtype=torch.float64)
    w_BLS = torch.randn(2, 5, 7, generator=chance, dtype=torch.float64).requires_grad_()
    x_BCHW = (w_BLS.sum(1) @ a_PS.T).reshape(2, 3, 4, 6)
    lengths = adversarial.path_lengths(x_BCHW, w_BLS, torch.Generator().manual_seed(9))
    noise = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(9)).double().reshape(2, -1)
    torch.testing.assert_close(lengths, (noise @ a_PS).norm(dim=1) / 24**0.5)
