"""A convolutional autoencoder, and three ways to judge with it.

The encoder halves a picture three times: 256 x 256 pixels become a latent of 32 channels at 32 x 32 places.
`Classifier` reads that latent whole, as the study did; `Autoencoder` pools it and looks at what was lost in rebuilding
as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.heads.head import UNFITTED, Head

WIDTHS = (168, 64, 32)  # channels after each convolution of the encoder
SIDE = 256  # pixels of the pictures that `Classifier` reads: its layer has a weight for every place
SCALES = (1, 2, 4)  # pixels over which the residual is averaged before its details are measured
FAINTEST = 1e-8  # a squared error that counts as none; one step of 8 bits squared is 1.5e-5


def middle(x_BCHW: Tensor, step: int) -> Tensor:
    """The middle half of both sides, which begins on a multiple of `step`; the whole of sides below four steps."""

    def inner(side: int) -> slice:
        quarter = side // step // 4 * step
        return slice(quarter, side - quarter)

    return x_BCHW[..., inner(x_BCHW.shape[-2]), inner(x_BCHW.shape[-1])]


def details(x_BCHW: Tensor) -> Tensor:
    """Horizontal, vertical and diagonal Haar details of blocks of 2 x 2 (B, C, 3, H // 2, W // 2). Haar 1910."""
    height, width = x_BCHW.shape[-2] // 2 * 2, x_BCHW.shape[-1] // 2 * 2
    even = x_BCHW[..., :height, :width]
    a, b, c, d = (even[..., row::2, column::2] for row in (0, 1) for column in (0, 1))
    return torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], dim=2) / 2.0


def energies(lost_BCHW: Tensor) -> Tensor:
    """Logs of the residual's mean square (B, 39): whole, and of its details at three scales, for each colour.

    At the finest scale blocks are laid at even and at odd places: what a decoder made by doubling differs between them.
    """
    shifted = details(lost_BCHW[..., 1:, 1:])
    parts = [shifted, *(details(functional.avg_pool2d(lost_BCHW, scale)) for scale in SCALES)]
    squares = [part.square().mean(dim=(3, 4)).flatten(1) for part in parts]
    return torch.cat([lost_BCHW.square().mean(dim=(2, 3)), *squares], dim=1).clamp(min=FAINTEST).log()


class Encoder(nn.Sequential):
    """Pictures in [0, 1] (B, 3, H, W) -> latents (B, 32, ceil(H / 8), ceil(W / 8)), not negative."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """Latents (B, 32, h, w) -> pictures in [0, 1] (B, 3, 8h, 8w)."""

    def __init__(self) -> None:
        inward = tuple(reversed(WIDTHS))
        layers: list[nn.Module] = []
        for inputs, outputs in zip((inward[0], *inward), inward, strict=False):
            layers += [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(inward[-1], 3, 3, padding=1), nn.Sigmoid())


class Reconstruction(nn.Module):
    """Encoder and decoder alone. As a detector: minus the log of the squared error in the middle (B,).

    What a decoder made is rebuilt with less loss than a photograph (Ricker et al. 2024, AEROBLADE).
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def rebuild(self, x_BCHW: Tensor) -> Tensor:
        """The pictures as the latent holds them; sides are multiples of 8 pixels."""
        rebuilt: Tensor = self.decoder(self.encoder(x_BCHW))
        return rebuilt

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return -torch.log(self.error(middle(x_BCHW, 8)).clamp(min=FAINTEST))

    def error(self, x_BCHW: Tensor) -> Tensor:
        """The mean squared error of each picture (B,)."""
        return (self.rebuild(x_BCHW) - x_BCHW).square().mean(dim=(1, 2, 3))


class Classifier(nn.Module):
    """Encoder, flattened, and one dense layer. Pictures in [0, 1] (B, 3, 256, 256) -> log-odds of synthetic (B,).

    With two `outputs` they are the logits (real, fake) of a softmax, with one the logit of a sigmoid.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.dense = nn.Linear(WIDTHS[-1] * (SIDE // 8) ** 2, outputs)

    def outputs(self, x_BCHW: Tensor) -> Tensor:
        """The logits of the dense layer (B, outputs)."""
        logits: Tensor = self.dense(self.encoder(x_BCHW).flatten(1))
        return logits

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logits = self.outputs(x_BCHW)
        return logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]


def softmax() -> Classifier:
    """The study's own head."""
    return Classifier(2)


def sigmoid() -> Classifier:
    """The head that did worse in the study."""
    return Classifier(1)


class Autoencoder(Reconstruction):
    """Pictures in [0, 1] (B, 3, H, W) -> log-odds of synthetic (B,) by a head, of one feature until it is fitted."""

    def __init__(self, head: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.head = Head(**(head or UNFITTED))

    def features(self, x_BCHW: Tensor) -> Tensor:
        """What the head is fitted on (B, 103): mean and deviation of the latent's channels, energies of the residual.

        The latent of a challenge has 32,768 numbers, more than there are pictures to fit a head on: it is pooled over
        places. The residual is that in the middle of the picture, half of its height and width, as rebuilding costs
        four times what encoding does.
        """
        latent = self.encoder(x_BCHW)
        lost = middle(x_BCHW, 8) - self.decoder(middle(latent, 1))
        spread, mean = torch.std_mean(latent, dim=(2, 3))
        return torch.cat([mean, spread, energies(lost)], dim=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BCHW))
        return log_odds
