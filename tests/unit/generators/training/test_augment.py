"""Augmentation: what it changes, that gradients pass, and that it repeats."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from generators.training import augment

STEPS = (*augment.STEPS.values(), augment.augment)
Step = Callable[[Tensor, torch.Generator], Tensor]


def pictures(batch: int = 6, side: int = 16) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("step", STEPS)
def test_gradients_pass(step: Step) -> None:
    """Every function keeps the shape, repeats for a seed, and lets the gradient through to each picture."""
    x_BCHW = pictures().requires_grad_()
    out = step(x_BCHW, torch.Generator().manual_seed(0))
    assert out.shape == x_BCHW.shape
    assert torch.equal(out, step(x_BCHW, torch.Generator().manual_seed(0)))
    assert not torch.equal(out, step(x_BCHW, torch.Generator().manual_seed(1)))
    (gradient,) = torch.autograd.grad(out.square().sum(), x_BCHW)
    assert (gradient.abs().sum((1, 2, 3)) > 0).all()


def test_steps_are_chosen() -> None:
    """Only the steps named are taken, in their order; none leaves pictures as they are."""
    x_BCHW = pictures()
    chance, same = (torch.Generator().manual_seed(0) for _ in range(2))
    wanted = augment.cutout(augment.translation(x_BCHW, same), same)
    assert torch.equal(augment.augment(x_BCHW, chance, ["translation", "cutout"]), wanted)
    assert augment.augment(x_BCHW, chance, []) is x_BCHW


def test_colour_is_affine() -> None:
    """Within a picture colour is a linear map and a shift: differences of grey values keep their direction."""
    x_BCHW = pictures()
    out = augment.colour(x_BCHW, torch.Generator().manual_seed(0))
    before, after = (y.mean(1).flatten(1) for y in (x_BCHW, out))
    for one, other in zip(before - before.mean(1, keepdim=True), after - after.mean(1, keepdim=True), strict=True):
        contrast = (one @ other) / (one @ one)
        assert 0.5 <= contrast <= 1.5
        torch.testing.assert_close(other, contrast * one, rtol=1e-4, atol=1e-5)


def test_translation_moves() -> None:
    """A dot stays a dot, at most an eighth of the side away, in every direction."""
    x_BCHW = torch.zeros(200, 1, 16, 16)
    x_BCHW[:, :, 8, 8] = 1
    out = augment.translation(x_BCHW, torch.Generator().manual_seed(0))
    assert torch.equal(out.sum((1, 2, 3)), torch.ones(200))
    _, _, rows, columns = torch.nonzero(out, as_tuple=True)
    assert {int(row) for row in rows} == {int(column) for column in columns} == {6, 7, 8, 9, 10}


def test_cutout_cuts() -> None:
    """The hole is at most a quarter of the picture, in one piece, and nothing else changes."""
    out = augment.cutout(torch.ones(100, 3, 16, 16), torch.Generator().manual_seed(0))
    holes = (out == 0).all(1)
    assert torch.equal((out == 0).any(1), holes)
    for hole in holes:
        rows, columns = hole.any(1).sum(), hole.any(0).sum()
        assert hole.sum() == rows * columns
        assert 0 < hole.sum() <= 64
