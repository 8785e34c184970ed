"""Gates: does a picture hold this kind of content, and where?

The face gate is scikit-image's cascade of local binary patterns (frontal faces). The others share one small linear
classifier over colour, texture and gradients, trained on the embedded photographs: honest guesses, far from certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subnet.errors import CheckpointError
from subnet.registry import table
from subnet.types import Frames

Picture = NDArray[np.uint8]  # (H, W, 3)
KINDS = ("person", "animal", "scene", "texture", "object")
KIND_OF = {
    "person": "person",
    "animal": "animal",
    "landscape": "scene",
    "building": "scene",
    "aerial": "scene",
    "texture": "texture",
    "food": "object",
    "object": "object",
    "vehicle": "object",
}
MARGIN = 1.3  # of a face's box
GRID = 16  # crops start and end on multiples of this: no resampling, traces stay where they are


@dataclass(frozen=True)
class Region:
    """Where the content is: rows top..bottom, columns left..right, half open."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, frames: Frames) -> Frames:
        """The same region of all frames (T, H, W, 3)."""
        return frames[:, self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class Content:
    """The linear classifier's weights: features are standardised, then `weight` (kinds, F) and `bias` (kinds,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.mean)
        if self.weight.shape != (len(KINDS), count) or self.bias.shape != (len(KINDS),) or self.scale.shape != (count,):
            raise CheckpointError(f"weights: the content classifier has shapes {self.weight.shape}, {self.bias.shape}")

    def shares(self, picture: Picture) -> dict[str, float]:
        """How likely each kind is; they sum to one."""
        logits = self.weight @ ((features(picture) - self.mean) / self.scale) + self.bias
        odds = np.exp(logits - logits.max())
        return dict(zip(KINDS, (odds / odds.sum()).tolist(), strict=True))


Gate = Callable[[Picture, Mapping[str, float]], Region | None]


@dataclass(frozen=True)
class GateRow:
    """`find` looks at a picture and its shares of kinds and returns a region, or None where the gate stays shut."""

    name: str
    summary: str
    find: Gate


def whole(picture: Picture) -> Region:
    """All of it."""
    return Region(0, picture.shape[0], 0, picture.shape[1])


def face(picture: Picture, shares: Mapping[str, float]) -> Region | None:
    """The largest frontal face with a margin of 1.3 around it, on the grid, and at least 96 pixels where possible."""
    from skimage.color import rgb2gray

    half = rgb2gray(picture[::2, ::2])  # faces are looked for at half size, from 48 pixels on
    if min(half.shape) < 24:
        return None
    boxes = _cascade().detect_multi_scale(
        img=half, scale_factor=1.2, step_ratio=1, min_size=(24, 24), max_size=half.shape
    )
    if not boxes:
        return None
    largest = {key: 2 * value for key, value in max(boxes, key=lambda box: box["width"]).items()}
    centre = largest["r"] + largest["height"] / 2, largest["c"] + largest["width"] / 2
    side = max(96.0, MARGIN * largest["width"])
    top, bottom = _span(centre[0], side, picture.shape[0])
    left, right = _span(centre[1], side, picture.shape[1])
    return Region(top, bottom, left, right)


def _span(centre: float, side: float, size: int) -> tuple[int, int]:
    """A stretch of about `side` around `centre`, on the grid, inside 0..size."""
    length = min(size, int(np.ceil(side / GRID)) * GRID)
    start = int(np.clip(round((centre - length / 2) / GRID) * GRID, 0, size - length))
    return start, start + length


@cache
def _cascade() -> Any:
    from skimage import data
    from skimage.feature import Cascade

    file: Callable[[], str] = data.lbp_frontal_face_cascade_filename
    return Cascade(file())


def kind(*names: str, least: float = 0.5) -> Gate:
    """A gate that opens, with the whole picture, where the shares of these kinds together reach `least`."""

    def find(picture: Picture, shares: Mapping[str, float]) -> Region | None:
        return whole(picture) if sum(shares[name] for name in names) >= least else None

    return find


GATES: dict[str, GateRow] = table(
    (
        GateRow("face", "a frontal face (cascade of local binary patterns)", face),
        GateRow("person", "a person, by the content classifier", kind("person")),
        GateRow("animal", "an animal, by the content classifier", kind("animal")),
        GateRow("scene", "a landscape, building, aerial view or texture", kind("scene", "texture")),
        GateRow("none", "always open", lambda picture, shares: whole(picture)),
    )
)


def features(picture: Picture) -> NDArray[np.float32]:
    """What the content classifier sees (F,): colours by quarter, gradients by direction, roughness by scale.

    A side of less than 64 pixels is stretched to 64, the other one stays: no picture takes more than 64 times its size.
    """
    for axis, side in enumerate(picture.shape[:2]):
        if side < 64:
            picture = picture.take(np.arange(64) * side // 64, axis=axis)
    height, width = (side // 64 for side in picture.shape[:2])
    cells = picture[: height * 64, : width * 64].reshape(64, height, 64, width, 3).astype(np.float32) / 255
    small = cells.mean(axis=(1, 3))  # (64, 64, 3)
    grey = small.mean(axis=2)
    colours = [_histogram(part, 8, 0, 1) for quarter in _blocks(small, 2) for part in _opponent(quarter)]
    down, across = np.gradient(grey)
    strength, angle = np.hypot(down, across), np.arctan2(down, across) % np.pi
    edges = [
        np.histogram(turn, bins=8, range=(0, np.pi), weights=force)[0] / (force.sum() + 0.1)
        for turn, force in zip(_blocks(angle, 4), _blocks(strength, 4), strict=True)
    ]
    rough = [block.mean() for block in _blocks(strength, 4)]
    fine = cells.std(axis=(1, 3)).mean(axis=2)
    scales = [np.log(1e-3 + np.abs(np.diff(grey[::step, ::step])).mean()) for step in (1, 2, 4, 8)]
    parts = [*colours, *edges, rough, [block.mean() for block in _blocks(fine, 4)], scales, small.std(axis=(0, 1))]
    return np.concatenate([np.asarray(part, dtype=np.float32).ravel() for part in parts])


def _blocks(x: NDArray[np.float32], count: int) -> list[NDArray[np.float32]]:
    """`count` by `count` parts of a square picture."""
    return [part for band in np.array_split(x, count, axis=0) for part in np.array_split(band, count, axis=1)]


def _opponent(x: NDArray[np.float32]) -> tuple[NDArray[np.floating[Any]], ...]:
    """Lightness, red against green and yellow against blue, each in 0..1."""
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    return (red + green + blue) / 3, (red - green + 1) / 2, ((red + green) / 2 - blue + 1) / 2


def _histogram(x: NDArray[np.floating[Any]], bins: int, low: float, high: float) -> NDArray[np.float64]:
    return np.histogram(x, bins=bins, range=(low, high))[0] / x.size


def fit(pictures: Sequence[Picture], categories: Sequence[str], *, strength: float = 1e-3) -> Content:
    """The content classifier for pictures with embedded categories: logistic regression, kinds weighing the same."""
    from sklearn.linear_model import LogisticRegression

    x = np.stack([features(picture) for picture in pictures])
    y = [KINDS.index(KIND_OF[category]) for category in categories]
    mean, scale = x.mean(0), x.std(0) + 1e-3
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000).fit((x - mean) / scale, y)
    weight, bias = np.zeros((len(KINDS), x.shape[1])), np.full(len(KINDS), -20.0)
    for row, number in enumerate(model.classes_):
        weight[number], bias[number] = model.coef_[row], model.intercept_[row]
    return Content(weight.astype(np.float32), bias.astype(np.float32), mean, scale)
