"""Pictures of which parts are synthetic or manipulated, with the mask of these parts.

A region of the photograph's own twin (in-painted), of another fake (spliced), or of another place in the same
photograph (copy-moved). In the last no pixel is synthetic; as in the field's data sets (CASIA, CoMoFoD) the region that
was pasted counts as manipulated, and is marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from subnet.types import Frames, Media

Kind = Literal["in-painted", "spliced", "copy-moved"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ODDS = (0.4, 0.4, 0.2)
LEAST, MOST = 0.05, 0.4  # share of the picture that is pasted
Mask = NDArray[np.bool_]
Show = Callable[[Media], Media]
_CORNERS = 9
_CLEAR = 100  # levels between inside and outside of a mask that can be told apart after all that was done to it


def region(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A blob (H, W) of LEAST..MOST of the picture's area, wholly inside it: a polygon with corners all around."""
    radius = math.sqrt(rng.uniform(LEAST, MOST) / math.pi) * min(height, width)
    turns = (np.arange(_CORNERS) + rng.uniform(-0.3, 0.3, _CORNERS)) * 2 * math.pi / _CORNERS
    reach = radius * rng.uniform(0.75, 1.2, _CORNERS)
    x, y = reach * np.cos(turns), reach * np.sin(turns)
    left, top = (
        rng.uniform(-x.min(), max(-x.min(), width - 1 - x.max())),
        rng.uniform(-y.min(), max(-y.min(), height - 1 - y.max())),
    )
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon([(float(a + left), float(b + top)) for a, b in zip(x, y, strict=True)], fill=1)
    return np.asarray(canvas, dtype=bool)


def compose(
    photograph: Frames, twin: Frames, other: Frames, kind: Kind, rng: np.random.Generator
) -> tuple[Frames, Mask]:
    """`photograph` (1, H, W, 3) with a region pasted into it, and where (H, W). All three are of one size."""
    height, width = photograph.shape[1:3]
    where = region(rng, height, width)
    if kind == "copy-moved":
        down, right = (int(rng.integers(side // 4, side - side // 4)) for side in (height, width))
        pasted = np.roll(photograph, (down, right), axis=(1, 2))
    else:
        pasted = twin if kind == "in-painted" else other
    made = photograph.copy()
    made[:, where] = pasted[:, where]
    return made, where


def follow(where: Mask, show: Show) -> Mask:
    """The mask (H, W) of a picture after `show` has moved, turned, cut and encoded it: it goes the same way.

    `show` must draw the same chances as for the picture. What it does to colours is undone by a threshold in the
    middle of what has become of outside and inside.
    """
    drawn = np.repeat((where[None, :, :, None] * np.uint8(255)), 3, axis=-1)
    levels = show(Media(drawn)).frames[0].mean(axis=-1)
    if where.all() or not where.any():
        return np.full(levels.shape, bool(where.all()))
    low, high = float(levels.min()), float(levels.max())
    inside: Mask = levels > ((low + high) / 2 if high - low > _CLEAR else 127)
    return inside
