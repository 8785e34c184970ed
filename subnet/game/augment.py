"""Augmentation levels for challenges and training, and distortion chains for evaluation. Pure: all chance is in `rng`.

Frames are uint8 RGB (T, H, W, 3); what comes out has the same shape. Every operator draws its own parameters, once for
all frames of a clip. Three readable tables: OPERATORS (name -> parameters and their ranges), STEPS (level -> operators
in order, each with its chance), CHAINS (one distortion, from untouched to severe, for robustness curves).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from subnet.game import operators as op
from subnet.registry import find, table
from subnet.types import Frames

LEVELS = (0, 1, 2, 3)

Range = tuple[float, float]
Operator = Callable[[np.random.Generator, Frames], Frames]


def _rotate(rng: np.random.Generator, frames: Frames, degrees: Range) -> Frames:
    return op.rotate(frames, rng.uniform(*degrees))


def _crop(rng: np.random.Generator, frames: Frames, area: Range) -> Frames:
    across, down = rng.random(2)
    return op.crop(frames, rng.uniform(*area) ** 0.5, across, down)


def _mirror(_rng: np.random.Generator, frames: Frames) -> Frames:
    return op.mirror(frames)


def _upend(_rng: np.random.Generator, frames: Frames) -> Frames:
    return op.upend(frames)


def _saturation(rng: np.random.Generator, frames: Frames, factor: Range) -> Frames:
    return op.saturation(frames, rng.uniform(*factor))


def _contrast(rng: np.random.Generator, frames: Frames, factor: Range) -> Frames:
    return op.contrast(frames, rng.uniform(*factor))


def _noise(rng: np.random.Generator, frames: Frames, sigma: Range) -> Frames:
    return op.noise(frames, rng.uniform(*sigma), rng)


def _blur(rng: np.random.Generator, frames: Frames, sigma: Range) -> Frames:
    return op.blur(frames, rng.uniform(*sigma))


def _rescale(rng: np.random.Generator, frames: Frames, factor: Range) -> Frames:
    down, up = rng.integers(len(op.FILTERS), size=2)
    return op.rescale(frames, rng.uniform(*factor), op.FILTERS[down], op.FILTERS[up])


def _jpeg(rng: np.random.Generator, frames: Frames, quality: tuple[int, int]) -> Frames:
    return op.jpeg(frames, int(rng.integers(*quality, endpoint=True)))


def _h264(rng: np.random.Generator, frames: Frames, crf: tuple[int, int]) -> Frames:
    return op.h264(frames, int(rng.integers(*crf, endpoint=True)))


def _screenshot(
    rng: np.random.Generator, frames: Frames, factor: Range, gamma: Range, gain: Range, quality: tuple[int, int]
) -> Frames:
    gains = rng.uniform(*gain, size=3).tolist()
    return op.screenshot(
        frames, rng.uniform(*factor), rng.uniform(*gamma), gains, int(rng.integers(*quality, endpoint=True))
    )


OPERATORS: dict[str, Operator] = {
    "rotate": partial(_rotate, degrees=(-20.0, 20.0)),
    "crop": partial(_crop, area=(0.2, 1.0)),  # share of the area, ratio 1
    "mirror": _mirror,
    "upend": _upend,
    "saturation": partial(_saturation, factor=(0.6, 1.4)),
    "contrast": partial(_contrast, factor=(0.8, 1.2)),
    "jpeg": partial(_jpeg, quality=(60, 95)),
    "h264": partial(_h264, crf=(20, 32)),
    "saturation-strong": partial(_saturation, factor=(0.0, 2.0)),
    "contrast-strong": partial(_contrast, factor=(0.5, 1.5)),
    "rescale": partial(_rescale, factor=(0.4, 0.9)),
    "blur": partial(_blur, sigma=(0.3, 1.5)),  # pixels
    "noise": partial(_noise, sigma=(1.0, 8.0)),  # grey levels of 255
    "screenshot": partial(_screenshot, factor=(0.7, 1.4), gamma=(0.9, 1.1), gain=(0.95, 1.05), quality=(70, 95)),
    "jpeg-strong": partial(_jpeg, quality=(40, 90)),
    "h264-strong": partial(_h264, crf=(24, 36)),
}


@dataclass(frozen=True)
class Operation:
    """One operator of a level: a row of OPERATORS for images, one for videos, and how often it happens."""

    image: str
    chance: float = 1.0
    video: str = ""  # the same as `image` where empty


_GEOMETRY = (Operation("rotate"), Operation("crop"), Operation("mirror", 0.5), Operation("upend", 0.5))

STEPS: dict[int, tuple[Operation, ...]] = {
    0: (),
    1: _GEOMETRY,
    2: (*_GEOMETRY, Operation("saturation"), Operation("contrast"), Operation("jpeg", video="h264")),
    3: (
        *_GEOMETRY,
        Operation("saturation-strong"),
        Operation("contrast-strong"),
        Operation("rescale", 0.5),
        Operation("blur", 0.5),
        Operation("noise", 0.5),
        Operation("screenshot", 0.5),
        Operation("jpeg-strong", video="h264-strong"),
    ),
}


def augment(frames: Frames, level: int, rng: np.random.Generator, *, video: bool = False) -> Frames:
    """Frames as they would look after a life online; a video's last step is real H.264 in place of JPEG.

    The result depends on (frames, level, rng's state, video) alone, and the parameters not on the number of frames.
    Raises ValueError for a level that is not in LEVELS.
    """
    if level not in STEPS:
        raise ValueError(f"level must be one of {LEVELS}, not {level!r}")
    for step in STEPS[level]:
        happens = rng.random() < step.chance
        parameters = np.random.default_rng(int(rng.integers(2**63)))  # its own: no operator's draws move another's
        if happens:
            frames = OPERATORS[(video and step.video) or step.image](parameters, frames)
    return frames


@dataclass(frozen=True)
class Distortion:
    """A distortion for robustness curves: `parameter` runs from `mild` to `severe` as strength runs from 0 to 1."""

    name: str
    parameter: str
    mild: float
    severe: float
    apply: Callable[[np.random.Generator, Frames, float], Frames]
    unit: str = ""

    def value(self, strength: float) -> float:
        """The parameter at this strength, for axis labels. Raises ValueError outside [0, 1]."""
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be in [0, 1], not {strength}")
        return self.mild + (self.severe - self.mild) * strength


def _reshot(rng: np.random.Generator, frames: Frames, shrink: float) -> Frames:
    gains = (1 + (1 - shrink) * rng.uniform(-0.1, 0.1, size=3)).tolist()
    gamma = 1 + (1 - shrink) * rng.uniform(-0.4, 0.4)
    return op.screenshot(frames, shrink, gamma, gains, round(95 - 60 * (1 - shrink)))


DISTORTIONS: dict[str, Distortion] = table(
    (
        Distortion("jpeg", "quality", 100, 20, lambda _, frames, quality: op.jpeg(frames, round(quality))),
        Distortion("webp", "quality", 100, 5, lambda _, frames, quality: op.webp(frames, round(quality))),
        Distortion("resize", "scale", 1.0, 0.25, lambda _, frames, factor: op.rescale(frames, factor)),
        Distortion("blur", "sigma", 0.0, 3.0, lambda _, frames, sigma: op.blur(frames, sigma), "px"),
        Distortion("noise", "sigma", 0.0, 25.0, lambda rng, frames, sigma: op.noise(frames, sigma, rng), "levels"),
        Distortion("crop", "side kept", 1.0, 0.3, lambda rng, frames, share: op.crop(frames, share, *rng.random(2))),
        Distortion("screenshot", "scale", 1.0, 0.4, _reshot),
        Distortion("h264", "CRF", 12, 45, lambda _, frames, crf: op.h264(frames, round(crf))),
    )
)


def distort(frames: Frames, name: str, strength: float, rng: np.random.Generator) -> Frames:
    """One chain of CHAINS at a strength from 0 (the frames untouched) to 1 (severe), the same for all frames.

    Raises UnknownName for a name that is not there and ValueError for a strength outside [0, 1].
    """
    chain = find(DISTORTIONS, name, "distortion")
    value = chain.value(strength)
    return frames if strength == 0 else chain.apply(rng, frames, value)
