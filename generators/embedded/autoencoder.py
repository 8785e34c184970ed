"""A small convolutional autoencoder with one encoder and three decoders that differ in how they enlarge.

A decoder leaves the trace of its upsampling in every picture it makes: transposed convolutions a checkerboard, nearest
neighbour copies a correlation of neighbours, pixel shuffle a grid. Reconstructions through it are synthetic pictures
of the same content as a photograph, which is what a detector has to learn from (B-Free, arXiv 2412.17671, section 3).

Pictures are float tensors x_BCHW in [-1, 1] whose sides divide by 4; latents are z_BCHW of `CHANNELS` channels and a
quarter of the side.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from subnet.errors import CheckpointError

KINDS = ("transposed", "nearest", "shuffle")
CHANNELS = 8
FACTOR = 4
WIDTHS = (64, 40, 20)  # channels at a quarter, a half and the whole of the side
WEIGHTS = Path(__file__).parents[1] / "weights" / "autoencoder.safetensors"


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.second(nn.functional.silu(self.first(nn.functional.silu(x_BCHW))))
        return x_BCHW + y_BCHW  # type: ignore[no-any-return]


def enlarge(kind: str, wide: int, narrow: int) -> nn.Module:
    """Twice the side, `wide` to `narrow` channels, by one of `KINDS`."""
    if kind == "transposed":
        return nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1)
    if kind == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(wide, narrow, 3, padding=1))
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(wide, 4 * narrow, 3, padding=1), nn.PixelShuffle(2))
    raise ValueError(f"a decoder is one of {', '.join(KINDS)}, not {kind!r}")


def encoder() -> nn.Sequential:
    """x_BCHW (3 channels) to z_BCHW (`CHANNELS` channels, a quarter of the side)."""
    wide = WIDTHS[0]
    return nn.Sequential(
        nn.PixelUnshuffle(FACTOR),
        nn.Conv2d(3 * FACTOR**2, wide, 3, padding=1),
        Residual(wide),
        Residual(wide),
        nn.Conv2d(wide, CHANNELS, 1),
    )


def decoder(kind: str) -> nn.Sequential:
    """z_BCHW back to x_BCHW; values may leave [-1, 1] a little."""
    wide, middle, narrow = WIDTHS
    return nn.Sequential(
        nn.Conv2d(CHANNELS, wide, 3, padding=1),
        Residual(wide),
        Residual(wide),
        enlarge(kind, wide, middle),
        Residual(middle),
        enlarge(kind, middle, narrow),
        nn.SiLU(),
        nn.Conv2d(narrow, narrow, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(narrow, 3, 3, padding=1),
    )


class Autoencoder(nn.Module):
    """The encoder and all decoders."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()
        self.decoders = nn.ModuleDict({kind: decoder(kind) for kind in KINDS})

    def encode(self, x_BCHW: Tensor) -> Tensor:
        """Latents of pictures in [-1, 1]."""
        z_BCHW: Tensor = self.encoder(x_BCHW)
        return z_BCHW

    def decode(self, z_BCHW: Tensor, kind: str) -> Tensor:
        """Pictures, nominally in [-1, 1], through the decoder `kind`. Raises ValueError for an unknown one."""
        if kind not in self.decoders:
            raise ValueError(f"a decoder is one of {', '.join(KINDS)}, not {kind!r}")
        x_BCHW: Tensor = self.decoders[kind](z_BCHW)
        return x_BCHW

    def forward(self, x_BCHW: Tensor, kind: str) -> Tensor:
        return self.decode(self.encode(x_BCHW), kind)


def to_tensor(pixels: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """uint8 (B, H, W, 3) to float x_BCHW in [-1, 1]."""
    x_BHWC = torch.from_numpy(np.array(pixels)).to(device)
    return x_BHWC.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_pixels(x_BCHW: Tensor) -> NDArray[np.uint8]:
    """x_BCHW to uint8 (B, H, W, 3), rounded and clipped."""
    scaled = x_BCHW.detach().float().add(1.0).mul(127.5).round().clamp(0, 255)
    pixels: NDArray[np.uint8] = scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def save(model: Autoencoder, path: Path) -> None:
    """Write the weights as float32 safetensors, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, part)
    part.replace(path)


def load_autoencoder(path: Path = WEIGHTS, device: torch.device | str = "cpu") -> Autoencoder:
    """The trained network, ready to use. Raises CheckpointError for a missing file or weights that do not fit."""
    model = Autoencoder()
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the autoencoder's weights {path}: {error}") from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the autoencoder: {error}") from error
    return model.to(device=device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload, no-any-return]


def open_adversary(kind: str = "nearest", device: torch.device | str = "cpu") -> tuple[nn.Module, nn.Module]:
    """The trained encoder, at rest, and one trained decoder that can go on learning. Raises CheckpointError."""
    model = load_autoencoder(device=device)
    chosen: nn.Module = model.decoders[kind]
    return model.encoder, chosen.train().requires_grad_(True)


def digest(path: Path = WEIGHTS) -> str:
    """sha256 of the weights file in hex, for provenance."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
