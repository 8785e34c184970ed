"""Pictures of a report as addresses that hold them whole (`data:`), small enough for a page. Pure."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.explain.maps import HeatMap
from detectors.explain.picture import overlay
from detectors.torch_detector import TorchDetector
from neurons.verdicts.judging import Explained, Judged
from subnet.types import Frames, Modality

LONGEST: Final = 1024  # pixels of a picture as it is shown
_QUALITY: Final = 82
_MAP: Final = 256  # pixels of a side of a map
_OPAQUE: Final = 0.8  # of the hottest place


@dataclass(frozen=True)
class Shown:
    """A picture of `width` x `height` pixels as it is stored, at the address `uri`, which holds it as it is shown."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Box:
    """A part of a picture in its own pixels, with P(synthetic)."""

    left: int
    top: int
    width: int
    height: int
    p_synthetic: float


@dataclass(frozen=True)
class Figures:
    """The picture, or the middle frame of a clip; its tiles; and where the evidence lies.

    `heat` is a map to lay over `box` of the picture, where the network saw just that; else `seen` is what it saw, with
    the map on it. All are None where there are none.
    """

    picture: Shown
    tiles: tuple[Box, ...] = ()
    heat: Shown | None = None
    box: Box | None = None
    seen: Shown | None = None


def figures(judged: Judged, explained: Explained | None) -> Figures:
    """Of a file that was judged."""
    frames = judged.media.frames
    picture = shown(frames[len(frames) // 2])
    tiles = tuple(Box(*view.box, view.p_synthetic) for view in judged.views if view.kind == "tile")
    if explained is None:
        return Figures(picture, tiles)
    heat = explained.heat
    if judged.media.modality is Modality.IMAGE and len(heat.heat) == 1 and not _cuts(judged):
        p_synthetic = next(view.p_synthetic for view in judged.views if view.box == explained.box)
        return Figures(picture, tiles, _map(heat.heat[0]), Box(*explained.box, p_synthetic))
    return Figures(picture, tiles, seen=_seen(heat))


def shown(frame: Frames) -> Shown:
    """A frame (H, W, 3) as JPEG, shrunk where it is larger than a page needs."""
    height, width = frame.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(frame))
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return Shown(_address(image, "JPEG", quality=_QUALITY), width, height)


def _cuts(judged: Judged) -> bool:
    """Whether the network sees less than the part that it is given."""
    detector = judged.detector
    return isinstance(detector, TorchDetector) and bool(
        detector.preprocess.crop or detector.preprocess.rule in ("tiles", "short-edge")
    )


def _map(heat: NDArray[np.float32]) -> Shown:
    """A map in colours, the less of it the more transparent."""
    from matplotlib import colormaps

    colours = (colormaps["inferno"](heat) * 255).astype(np.uint8)
    colours[..., 3] = (np.clip(heat, 0, 1) * 255 * _OPAQUE).astype(np.uint8)
    image = Image.fromarray(colours)
    image.thumbnail((_MAP, _MAP))
    return Shown(_address(image, "PNG"), heat.shape[1], heat.shape[0])


def _seen(heat: HeatMap) -> Shown:
    best = heat.strongest
    return shown(overlay(heat.pictures[best], heat.heat[best]))


def _address(image: Image.Image, format: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
