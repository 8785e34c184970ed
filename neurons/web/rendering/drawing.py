"""Small pictures as coordinates of SVG, drawn on the server. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WIDTH: Final = 120
HEIGHT: Final = 28  # of a trend
WIDE, TALL = 400, 100  # of a chart, which is stretched to the page
TOP, BOTTOM = 6, 86  # of a chart: where 1 and 0 are
UNDER: Final = 96  # where failures are


def line(points: Sequence[tuple[float, float]]) -> str:
    """A trend's polyline: x from the first to the last, y in 0..1 from the bottom to the top, "" for none."""
    return _line(points, WIDTH, 2, HEIGHT - 2)


def curve(points: Sequence[tuple[float, float]]) -> str:
    """The same for a chart."""
    return _line(points, WIDE, TOP, BOTTOM)


def _line(points: Sequence[tuple[float, float]], width: int, top: int, bottom: int) -> str:
    if not points:
        return ""
    first, last = points[0][0], points[-1][0]
    span = (last - first) or 1
    spots = [(2 + (width - 4) * (x - first) / span, top + (bottom - top) * (1 - y)) for x, y in points]
    if len(spots) == 1:
        spots.append((width - 2, spots[0][1]))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)


def dots(values: Sequence[float | str]) -> list[tuple[str, str]]:
    """Where each value in 0..1 stands on a chart, from left to right; a failure, which is a word, below the rest."""
    step = (WIDE - 12) / max(1, len(values) - 1)
    return [
        (f"{6 + step * at:.1f}", f"{UNDER}" if isinstance(value, str) else f"{TOP + (BOTTOM - TOP) * (1 - value):.1f}")
        for at, value in enumerate(values)
    ]


def bar(value: float, most: float) -> str:
    """Where `value` of 0..most ends in a picture as wide as a trend."""
    return f"{WIDTH * min(1.0, max(0.0, value / most)) if most > 0 else 0:.1f}"
