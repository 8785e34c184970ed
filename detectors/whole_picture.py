"""The whole of a picture in front of a detector that sees 256 x 256 of it at a time.

Two kinds of views: squares as large as the picture allows, which together show all of it and are shrunk as challenges
are, and tiles at the resolution that is stored, where traces of up-sampling are, and where a part was painted in. A
clip has squares only. benchmarks/whole_picture.py measures what that is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.calibration import sigmoid
from detectors.pixels.fineness import fineness
from subnet.codec import image as codec
from subnet.protocols import Detector
from subnet.types import Frames, Media, Modality, Prediction

SIDE = 256  # of a tile, as of every challenge
KINDS = ("square", "tile")
MOST_TILES = 16  # all of a picture of 1024 x 1024
MOST_SQUARES = 4
SMALLEST = 64  # pixels along the shorter side: below that there is nothing to judge
FEWEST_FRAMES = 4
_BLOCK = 16  # pixels along each side
_FLAT = 1.5  # levels of 255: a block that deviates less from the plane through it has no texture
_LEAST_TEXTURE = 0.05  # of all blocks
_CERTAIN = 1e-12


@dataclass(frozen=True)
class View:
    """A part of a picture: its kind ("square" or "tile"), its box (left, top, width, height), and P(synthetic)."""

    kind: str
    box: tuple[int, int, int, int]
    p_synthetic: float


@dataclass(frozen=True)
class Judgement:
    """P(synthetic) of a whole picture or clip, and of its parts; `fineness` as in `fineness_of`."""

    p_synthetic: float
    views: tuple[View, ...]
    fineness: float | None

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest P(synthetic) of any part."""
        parts = [view.p_synthetic for view in self.views]
        return min(parts), max(parts)

    @property
    def hottest(self) -> View | None:
        """The tile that looks most synthetic; None where there are no tiles."""
        return max(
            (view for view in self.views if view.kind == "tile"), key=lambda view: view.p_synthetic, default=None
        )


def unfit(media: Media) -> str:
    """Why nothing can be told from `media`, "" when something can: too small, too short, or without texture."""
    count, height, width, _ = media.frames.shape
    if min(height, width) < SMALLEST:
        return f"it is {width}x{height} pixels, and below {SMALLEST} on a side there are too few to judge"
    if media.modality is Modality.VIDEO and count < FEWEST_FRAMES:
        return f"it has {count} frames, and a clip needs {FEWEST_FRAMES}"
    if max(texture(frame) for frame in media.frames[:: max(1, count // 4)]) < _LEAST_TEXTURE:
        return "it is flat: next to nothing in it but even colour"
    return ""


def texture(frame: Frames) -> float:
    """The share of blocks of 16 x 16 pixels that hold more than an even colour or slope, of a frame (H, W, 3)."""
    height, width = (side // _BLOCK for side in frame.shape[:2])
    step = max(1, math.isqrt(height * width // 4096))  # of giants some thousands of blocks, all over
    whole = frame[: height * _BLOCK, : width * _BLOCK].reshape(height, _BLOCK, width, _BLOCK, 3)[::step, :, ::step]
    blocks = whole.mean(axis=-1, dtype=np.float32).swapaxes(1, 2).reshape(-1, _BLOCK * _BLOCK)
    y, x = np.mgrid[:_BLOCK, :_BLOCK].reshape(2, -1)
    plane = np.stack([np.ones_like(x), x, y], axis=1).astype(np.float32)
    rest = blocks - blocks @ np.linalg.pinv(plane).T @ plane.T
    return float((rest.std(axis=1) > _FLAT).mean())


def squares(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """The largest squares, evenly from one end of the longer side to the other: (left, top, side, side)."""
    side, longer = min(height, width), max(height, width)
    count = min(MOST_SQUARES, math.ceil(longer / side))
    places = [round(place) for place in np.linspace(0, longer - side, count)] if count > 1 else [0]
    return [(place, 0, side, side) if width >= height else (0, place, side, side) for place in places]


def tiles(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Tiles at stored resolution, evenly over the picture, none where squares are as small: (left, top, w, h)."""
    if min(height, width) <= SIDE:
        return []
    down, across = math.ceil(height / SIDE), math.ceil(width / SIDE)
    while down * across > MOST_TILES:
        down, across = (down - 1, across) if down > across else (down, across - 1)
    return [(left, top, SIDE, SIDE) for top in _places(height, down) for left in _places(width, across)]


def _places(length: int, count: int) -> list[int]:
    """Where `count` tiles begin along a side, the first and the last at its ends; a single one in the middle."""
    spare = length - SIDE
    return [round(place) for place in np.linspace(0, spare, count)] if count > 1 else [spare // 2]


def parts(media: Media) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Kind and box of every part that is looked at, squares first."""
    _, height, width, _ = media.frames.shape
    boxes = [("square", box) for box in squares(height, width)]
    return boxes + [("tile", box) for box in tiles(height, width) if media.modality is Modality.IMAGE]


def judge(detector: Detector, media: Media) -> Judgement:
    """Ask `detector` about all parts of `media`, all at once. Raises what it raises."""
    return judgement(media, detector.predict(shown(media)))


def shown(media: Media) -> list[Media]:
    """All parts of `media` as detectors see them, in the order of `parts`."""
    return [codec.normalise(cut(media, box), None) for _, box in parts(media)]


def judgement(media: Media, answers: Sequence[Prediction]) -> Judgement:
    """What the answers to all that is `shown` come to."""
    pairs = zip(parts(media), answers, strict=True)
    views = tuple(View(kind, box, answer.p_synthetic) for (kind, box), answer in pairs)
    return Judgement(combined(views), views, fineness_of(media))


def fineness_of(media: Media) -> float | None:
    """How fine the detail is for the pixels that stand for it: the median over tiles, so that no single one decides.

    What is smaller than a challenge is enlarged before anybody sees it, and measured afterwards. None for what is as
    large as one, or is shrunk: there cards know by their exams how detectors answer.
    """
    side = min(media.frames.shape[1:3])
    boxes = [box for kind, box in parts(media) if kind == "tile" or side < SIDE]
    finest = [fineness(codec.normalise(cut(media, box), None).frames) for box in boxes]
    return float(np.median(finest)) if finest else None


def where(box: tuple[int, int, int, int], height: int, width: int) -> str:
    """In words, by thirds: "top left", "middle", "bottom right" and the like."""
    left, top, wide, high = box
    down = ("top", "middle", "bottom")[min(2, 3 * (2 * top + high) // (2 * height))]
    across = ("left", "", "right")[min(2, 3 * (2 * left + wide) // (2 * width))]
    return f"{down} {across}".strip() if (down, across) != ("middle", "") else "middle"


def cut(media: Media, box: tuple[int, int, int, int]) -> Media:
    """The part of every frame that lies in the box (left, top, width, height)."""
    left, top, width, height = box
    return Media(media.frames[:, top : top + height, left : left + width], media.fps)


def combined(views: Sequence[View]) -> float:
    """P(synthetic) of the whole: either all of it is synthetic, or one tile, and nobody knows which.

    The odds of the first are those of the mean log-odds of squares, and of tiles where there are some, averaged; the
    odds of the second are the mean of the tiles' odds, which is how a hottest tile is corrected for their number.
    """
    squares_, tiles_ = ([_log_odds(view.p_synthetic) for view in views if view.kind == kind] for kind in KINDS)
    everything = float(np.mean([np.mean(part) for part in (squares_, tiles_) if part]))
    if not tiles_:
        return sigmoid(everything)
    return sigmoid(float(np.logaddexp(everything, one_of(tiles_)) - math.log(2)))


def one_of(log_odds: Sequence[float]) -> float:
    """The log-odds that one of several parts is synthetic, where each is as likely: the log of their mean odds."""
    return float(np.logaddexp.reduce(log_odds) - math.log(len(log_odds)))


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _CERTAIN), 1 - _CERTAIN)
    return math.log(kept / (1 - kept))
