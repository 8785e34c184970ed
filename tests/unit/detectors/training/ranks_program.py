"""One of two processes that compare shared batch normalisation and averaged gradients with one process, in float64."""

from __future__ import annotations

import copy
import sys

import torch
from accelerate import Accelerator
from torch import nn

from detectors.training.ranks import average, here, share_statistics


def main() -> None:
    """Say "same" where loss, gradients and running statistics of half a batch in each rank are those of the whole."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    alone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))
    shared, x = copy.deepcopy(alone), torch.randn(8, 3, 9, 9)
    rank, accelerator = here("cpu"), Accelerator(cpu=True)
    share_statistics(shared, rank)
    losses = []
    for network, part in ((alone, x), (shared, x[rank.number :: rank.of])):
        loss = network(part).pow(3).mean() + network[3].weight.square().sum()
        loss.backward()
        losses.append(loss.detach().reshape(1))
    gradients = [parameter.grad for parameter in shared.parameters() if parameter.grad is not None]
    average(accelerator, [*gradients, losses[1]], rank)
    expected = [parameter.grad for parameter in alone.parameters() if parameter.grad is not None]
    pairs = [*zip(gradients, expected, strict=True), (losses[1], losses[0])]
    pairs += zip(shared.buffers(), alone.buffers(), strict=True)
    equal = all(torch.allclose(a, b, rtol=1e-6, atol=1e-9) for a, b in pairs)
    sys.stdout.write("same\n" if equal else f"other {pairs}\n")


if __name__ == "__main__":
    main()
