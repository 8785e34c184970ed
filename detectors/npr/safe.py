"""SAFE: NPR's network on what is left of a picture by one level of a wavelet transform.

Li et al., "Improving Synthetic Image Detection Towards Generalization: An Image Transformation Perspective", KDD 2025.
The diagonal band (HH) of the biorthogonal wavelet 1.3, whose high-pass is Haar's, is resized to the picture's size.
1,438,274 parameters in 146 tensors; the key names are those of the authors' checkpoint, with two outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.npr.network import FEATURES, NPR

MARGIN = 2  # pixels that the transform mirrors at each border


def diagonal_band(x_BCHW: Tensor) -> Tensor:
    """Half of (a - b - c + d) of every cell [[a, b], [c, d]]: (B, C, H / 2 + 2, W / 2 + 2), in the input's units.

    Cells begin two pixels outside, where the picture is mirrored at its border. An odd last row or column is dropped.
    """
    height, width = x_BCHW.shape[-2] // 2 * 2, x_BCHW.shape[-1] // 2 * 2
    x = x_BCHW[..., :height, :width]
    x = torch.cat([x[..., :MARGIN, :].flip(-2), x, x[..., -MARGIN:, :].flip(-2)], dim=-2)
    x = torch.cat([x[..., :MARGIN].flip(-1), x, x[..., -MARGIN:].flip(-1)], dim=-1)
    rows = x[..., ::2, :] - x[..., 1::2, :]
    band: Tensor = (rows[..., ::2] - rows[..., 1::2]) / 2
    return band


class SAFE(NPR):
    """RGB in 0..1 (B, 3, H, W) -> log-odds of synthetic (B,). Any size from 16 pixels on."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(FEATURES, 2)

    def features(self, x_BCHW: Tensor) -> Tensor:
        """What the last layer decides upon, pooled over the picture: (B, 512)."""
        x = x_BCHW.float()
        band = functional.interpolate(diagonal_band(x), size=x.shape[-2:], mode="bilinear")
        return self.pooled(band)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.fc1(self.features(x_BCHW))
        return logits[:, 1] - logits[:, 0]
