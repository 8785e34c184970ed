"""What a row of the detector table says. Data only: importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from subnet.types import Modality

Resize = Literal["keep", "squash", "centre", "tiles"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
ZERO = (0.0, 0.0, 0.0)
ONE = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Preprocess:
    """How uint8 frames become a network's input: resize by `rule` to `size`, divide by 255, then (x - mean) / std.

    Rules: "keep" leaves the size alone; "squash" resizes both sides to `size`, aspect not kept; "centre" cuts the
    centre square first; "tiles" does as "centre" to 256 and leaves it to the network to cut squares of `size` out of
    that without resizing, so that traces of up-sampling survive.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    size: int = 256
    rule: Resize = "centre"

    def __post_init__(self) -> None:
        if self.size < 2:
            raise ValueError(f"size must be at least 2 pixels, not {self.size}")
        if any(value <= 0 for value in self.std):
            raise ValueError(f"std must be positive, not {self.std}")
        if self.rule not in ("keep", "squash", "centre", "tiles"):
            raise ValueError(f"rule must be keep, squash, centre or tiles, not {self.rule!r}")


@dataclass(frozen=True)
class DetectorRow:
    """One detector: what it is, how large the published network is, and which weights ship with it.

    `parameters` and `tensors` count the published network; `embedded_parameters` the one whose weights ship here.
    `weights` is a file of detectors/weights ("" where there are none) and `sha256` pins it. `layer` names the module
    whose activations heat maps use, and `grid` says whether these are "maps" (B, C, H, W) or "tokens" (B, H*W, C).
    """

    name: str
    modality: Modality
    target: str
    summary: str
    parameters: int = 0
    tensors: int = 0
    embedded_parameters: int = 0
    weights: str = ""
    sha256: str = ""
    licence: str = "MIT"
    preprocess: Preprocess = Preprocess()
    layer: str = ""
    grid: Literal["", "maps", "tokens"] = ""
    family: str = ""  # the row of detectors.families that its weights belong to
    trainable: bool = False
