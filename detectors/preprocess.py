"""From uint8 frames to a network's input. The numbers come from the checkpoint (`detectors.rows.Preprocess`)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from detectors.pixels.sizes import target, torchvision_crop, torchvision_square
from detectors.resampling import resample
from detectors.rows import Preprocess
from subnet.types import Frames


def pixels(frames: Frames) -> Tensor:
    """uint8 (T, H, W, 3) -> uint8 tensor (T, 3, H, W), contiguous."""
    return torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).contiguous()


def normalise(x_TCHW: Tensor, preprocess: Preprocess) -> Tensor:
    """Pixels 0..255 of any dtype and shape (..., 3, H, W) -> (x / 255 - mean) / std in float32."""
    mean = torch.tensor(preprocess.mean, device=x_TCHW.device).view(3, 1, 1)
    std = torch.tensor(preprocess.std, device=x_TCHW.device).view(3, 1, 1)
    return (x_TCHW.to(torch.float32) / 255.0 - mean) / std


def resize(x_TCHW: Tensor, height: int, width: int) -> Tensor:
    """Bilinear with anti-aliasing; the very same tensor when it already has this size."""
    if x_TCHW.shape[-2:] == (height, width):
        return x_TCHW
    return functional.interpolate(x_TCHW.to(torch.float32), size=(height, width), mode="bilinear", antialias=True)


def centre_square(x_TCHW: Tensor) -> Tensor:
    """The largest centred square."""
    height, width = x_TCHW.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return x_TCHW[..., top : top + side, left : left + side]


def tiles(x_TCHW: Tensor, size: int) -> Tensor:
    """The four corner squares of side `size`: (T, 3, H, W) -> (4, T, 3, size, size)."""
    height, width = x_TCHW.shape[-2:]
    corners = [(top, left) for top in (0, height - size) for left in (0, width - size)]
    return torch.stack([x_TCHW[..., top : top + size, left : left + size] for top, left in corners])


def centre_crop(x_TCHW: Tensor, side: int) -> Tensor:
    """The centred square of `side`, with black around pictures that are smaller, as torchvision does."""
    rows, columns = (torchvision_crop(length, side) for length in x_TCHW.shape[-2:])
    padded = functional.pad(x_TCHW, [*columns[:2], *rows[:2]])
    return padded[..., rows[2] : rows[2] + side, columns[2] : columns[2] + side]


def prepare(frames: Frames, preprocess: Preprocess, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (T, H, W, 3) -> float32 (T, 3, size, size); with the rule "tiles" the canvas (T, 3, 256, 256)."""
    square = preprocess.rule in ("centre", "tiles")
    short = preprocess.rule == "short-edge" and not preprocess.crop
    if preprocess.resample == "torch-bilinear":
        x = pixels(frames).to(device)
        x = centre_square(x) if square else x
        x = resize(x, *target(x.shape[-2], x.shape[-1], preprocess))
        x = centre_square(x) if short else x
    else:
        frames = torchvision_square(frames) if square else frames
        frames = resample(frames, *target(frames.shape[1], frames.shape[2], preprocess), preprocess.resample)
        x = pixels(torchvision_square(frames) if short else frames).to(device)
    return normalise(centre_crop(x, preprocess.crop) if preprocess.crop else x, preprocess)
