"""First filters of networks that start from nothing: what they do not see costs no steps to unlearn."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def see_residuals(kernels_OIHW: Tensor) -> None:
    """Take from 3x3 kernels, in place, what answers to the level and to the slope of a picture; norms stay.

    For training without ImageNet weights: traces of up-sampling lie in what is left.
    """
    ramp = torch.tensor([-1.0, 0.0, 1.0])
    planes = [torch.ones(3, 3) / 3, ramp.view(1, 3).expand(3, 3) / 6**0.5, ramp.view(3, 1).expand(3, 3) / 6**0.5]
    bare = kernels_OIHW.clone()
    for plane in planes:
        bare -= (bare * plane).sum(dim=(2, 3), keepdim=True) * plane
    norm = kernels_OIHW.flatten(1).norm(dim=1) / bare.flatten(1).norm(dim=1)
    kernels_OIHW.copy_(bare * norm.view(-1, 1, 1, 1))
