"""Losses of a generative adversarial network, as StyleGAN2 uses them (arXiv 1912.04958, sections 2 and 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def generator_loss(fake_B1: Tensor) -> Tensor:
    """Non-saturating logistic loss on the logits of fakes: mean of -log sigmoid."""
    return functional.softplus(-fake_B1).mean()


def discriminator_loss(real_B1: Tensor, fake_B1: Tensor) -> Tensor:
    """Logistic loss on the logits of both."""
    return functional.softplus(-real_B1).mean() + functional.softplus(fake_B1).mean()


def gradient_penalty(real_B1: Tensor, x_BCHW: Tensor) -> Tensor:
    """R1: the mean squared length of the logits' gradient at real pictures (arXiv 1801.04406, equation 9).

    `x_BCHW` is what the logits were computed from, with `requires_grad`. To be multiplied by gamma / 2, and by the
    number of steps from one time to the next where it is not taken at every step.
    """
    (gradient,) = torch.autograd.grad(real_B1.sum(), x_BCHW, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(x_BCHW: Tensor, w_BLS: Tensor, generator: torch.Generator) -> Tensor:
    """How far pictures move when styles do, (B,): the length of the gradient of <picture, noise> (equation 4).

    The noise has variance 1 / (H * W); the squared length is summed over a style, and its mean taken over the layers.
    """
    height, width = x_BCHW.shape[2:]
    noise = torch.randn(x_BCHW.shape, generator=generator).to(x_BCHW) / math.sqrt(height * width)
    (gradient,) = torch.autograd.grad((x_BCHW * noise).sum(), w_BLS, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()
