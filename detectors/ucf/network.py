"""UCF: what is common to forgeries, apart from what is specific to a method and from content.

Yan et al., "UCF: Uncovering Common Features for Generalizable Deepfake Detection", ICCV 2023. Two Xception encoders;
the forgery code splits into a common and a specific half; a decoder with adaptive instance normalisation (Huang &
Belongie 2017) rebuilds pictures from content and forgery codes. Judging needs one encoder and the common head only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.backbones.xception import Xception, channels
from detectors.first_filters import see_residuals


class Encoder(Xception):
    """RGB (B, 3, H, W) -> codes (B, 512 x width, H/32, W/32). `last_linear` is only there for its keys."""

    def __init__(self, width: float, least: int) -> None:
        super().__init__(width, least)
        codes = channels(512, width, least)
        self.last_linear = nn.Linear(self.channels, 2)
        self.adjust_channel = nn.Sequential(nn.Conv2d(self.channels, codes, 1), nn.BatchNorm2d(codes), nn.ReLU())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y: Tensor = self.adjust_channel(self.features(x_BCHW))
        return y


class Bottle(nn.Module):
    """Three 1x1 convolutions from the encoder's width to half of it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv2d = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1),
            nn.LeakyReLU(),
            nn.Conv2d(outputs, outputs, 1),
            nn.LeakyReLU(),
            nn.Conv2d(outputs, outputs, 1),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y: Tensor = self.conv2d(x_BCHW)
        return y


class Head(nn.Module):
    """Mean over places, then two layers. Returns logits (B, classes) and the pooled code (B, C)."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(), nn.Linear(hidden, classes))

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        code = x_BCHW.mean(dim=(2, 3))
        return functional.dropout(self.mlp(code), 0.2, self.training), code


def adain(content_BCHW: Tensor, style_BCHW: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Content with the mean and deviation of style, for each item and channel."""
    deviation, mean = torch.std_mean(content_BCHW, dim=(2, 3), keepdim=True)
    style_deviation, style_mean = torch.std_mean(style_BCHW, dim=(2, 3), keepdim=True)
    return (content_BCHW - mean) / (deviation + epsilon) * style_deviation + style_mean


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
    )


class Decoder(nn.Module):
    """Content and style codes (B, C, h, w) -> a picture (B, 3, 32h, 32w) in [-1, 1]."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dconv_up3 = _double(inputs, inputs // 2)
        self.dconv_up2 = _double(inputs // 2, inputs // 4)
        self.dconv_up1 = _double(inputs // 4, inputs // 8)
        self.conv_last = nn.Conv2d(inputs // 8, 3, 1)

    def forward(self, style_BCHW: Tensor, content_BCHW: Tensor) -> Tensor:
        style, content = style_BCHW, content_BCHW
        for convolutions in (self.dconv_up3, self.dconv_up2, self.dconv_up1):
            grown = functional.interpolate(adain(content, style), scale_factor=2.0, mode="bilinear", align_corners=True)
            content = convolutions(functional.dropout(grown, 0.3, self.training))
            style = convolutions(functional.interpolate(style, scale_factor=2.0, mode="bilinear", align_corners=True))
        picture = functional.interpolate(self.conv_last(content), scale_factor=4.0, mode="bilinear", align_corners=True)
        return torch.tanh(picture)


@dataclass(frozen=True)
class Codes:
    """What the losses look at, for a batch of reals followed by as many fakes."""

    common_logits: Tensor  # (2N, 2)
    specific_logits: Tensor  # (2N, methods)
    common: Tensor  # (2N, C) pooled
    specific: Tensor  # (2N, C) pooled
    rebuilt: tuple[Tensor, Tensor]  # each half from its own codes: real, fake
    swapped: tuple[Tensor, Tensor]  # content of real with the forgery code of fake, and the reverse


class UCF(nn.Module):
    """Normalised RGB (B, 3, H, W) -> log-odds of synthetic (B,). Width 1 is the published size."""

    def __init__(self, width: float = 1.0, methods: int = 5, least: int = 4) -> None:
        super().__init__()
        outer = channels(512, width, least)
        inner = outer // 2
        self.methods = methods
        self.encoder_f = Encoder(width, least)
        self.encoder_c = Encoder(width, least)
        self.con_gan = Decoder(outer)
        self.head_spe = Head(inner, outer, methods)
        self.head_sha = Head(inner, outer, 2)
        self.block_spe = Bottle(outer, inner)
        self.block_sha = Bottle(outer, inner)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logits, _ = self.head_sha(self.block_sha(self.encoder_f(x_BCHW)))
        difference: Tensor = logits[:, 1] - logits[:, 0]
        return difference

    def disentangle(self, x_BCHW: Tensor, shuffle: Tensor | None = None) -> Codes:
        """Everything that training needs. `shuffle` (2N,) reorders the common features within each half."""
        forgery, content = self.encoder_f(x_BCHW), self.encoder_c(x_BCHW)
        common, specific = self.block_sha(forgery), self.block_spe(forgery)
        if shuffle is not None:
            common = common[shuffle]
        specific_logits, specific_code = self.head_spe(specific)
        common_logits, common_code = self.head_sha(common)
        real, fake = torch.cat([specific, common], dim=1).chunk(2)
        content_real, content_fake = content.chunk(2)
        rebuilt = self.con_gan(real, content_real), self.con_gan(fake, content_fake)
        swapped = self.con_gan(fake, content_real), self.con_gan(real, content_fake)
        return Codes(common_logits, specific_logits, common_code, specific_code, rebuilt, swapped)


def start_with_residuals(network: nn.Module) -> None:
    """Let the forgery encoder's first filters see residuals alone, where no ImageNet weights are at hand."""
    if not isinstance(network, UCF):
        raise TypeError(f"this starts UCF, not {type(network).__name__}")
    see_residuals(network.encoder_f.conv1.weight)
