"""Masks for in-painting: random rounded rectangles and feathered circles, drawn and kept as geometry.

A mask is a handful of numbers in units of the picture's side, so provenance stays small and the same mask can be
rendered at the generator's size, at the size asked of miners, and for a segmentation detector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from subnet.types import JSON


class Shape(StrEnum):
    """The two kinds of mask."""

    RECTANGLE = "rectangle"
    CIRCLE = "circle"


@dataclass(frozen=True)
class Mask:
    """Where a picture was painted anew.

    Centre, half sides, corner radius and feather are fractions of the picture's height (rows) and width (columns), the
    last two of the shorter side. A circle has equal half sides and radius. `feather` is the width of the soft edge,
    half of it outside and half inside.
    """

    shape: Shape
    row: float
    column: float
    half_height: float
    half_width: float
    radius: float
    feather: float

    def __post_init__(self) -> None:
        if not (0 <= self.row <= 1 and 0 <= self.column <= 1):
            raise ValueError(f"a mask's centre is inside the picture, not at ({self.row}, {self.column})")
        if min(self.half_height, self.half_width) <= 0 or min(self.radius, self.feather) < 0:
            raise ValueError("a mask needs positive half sides and a radius and feather of 0 or more")

    def to_json(self) -> dict[str, JSON]:
        """Numbers rounded to 1/10000 of a side, for provenance."""
        return {name: value if isinstance(value, str) else round(value, 4) for name, value in asdict(self).items()}


def from_json(value: Mapping[str, JSON]) -> Mask:
    """The mask that `to_json` wrote. Raises ValueError for anything else."""
    try:
        numbers = {name: float(value[name]) for name in Mask.__dataclass_fields__ if name != "shape"}  # type: ignore[arg-type]
        return Mask(Shape(str(value["shape"])), **numbers)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a mask: {error!r} in {dict(value)}") from error


def draw_mask(rng: np.random.Generator) -> Mask:
    """One mask, rectangle or circle with equal chance, wholly inside the picture but for the soft edge.

    Sides are 1/4 to 1/2 of the picture; of a square one it covers between 4 % and 26 %.
    """
    rectangle = bool(rng.random() < 0.5)
    half_height = float(rng.uniform(1 / 8, 1 / 4))
    half_width = float(rng.uniform(1 / 8, 1 / 4)) if rectangle else half_height
    radius = float(rng.uniform(0.1, 0.6)) * min(half_height, half_width) if rectangle else half_height
    return Mask(
        shape=Shape.RECTANGLE if rectangle else Shape.CIRCLE,
        row=float(rng.uniform(half_height, 1 - half_height)),
        column=float(rng.uniform(half_width, 1 - half_width)),
        half_height=half_height,
        half_width=half_width,
        radius=radius,
        feather=0.0 if rectangle else float(rng.uniform(0.02, 0.08)),
    )


def render(mask: Mask, height: int, width: int) -> NDArray[np.float32]:
    """The mask as (height, width) in 0..1: 1 where the picture is painted anew.

    Signed distance to a rounded rectangle; edges are soft over `feather`, and at least over one pixel.
    """
    short = min(height, width)
    rows = np.abs((np.arange(height) + 0.5) - mask.row * height)[:, None]
    columns = np.abs((np.arange(width) + 0.5) - mask.column * width)[None, :]
    half_height, half_width = mask.half_height * height, mask.half_width * width
    if mask.shape is Shape.CIRCLE:
        half_height = half_width = radius = mask.radius * short
    else:
        radius = min(mask.radius * short, half_height, half_width)
    away_rows, away_columns = rows - (half_height - radius), columns - (half_width - radius)
    outside = np.hypot(np.maximum(away_rows, 0), np.maximum(away_columns, 0))
    inside = np.minimum(np.maximum(away_rows, away_columns), 0)
    distance = outside + inside - radius
    soft = max(mask.feather * short, 1.0)
    result: NDArray[np.float32] = np.clip(0.5 - distance / soft, 0, 1).astype(np.float32)
    return result
