"""Small pictures as coordinates of SVG, drawn on the server. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WIDTH: Final = 120
HEIGHT: Final = 28  # of a trend
TALL: Final = 100  # of answers


def line(points: Sequence[tuple[float, float]], width: int = WIDTH, height: int = HEIGHT) -> str:
    """The points of a polyline: x from the first to the last, y in 0..1 from the bottom to the top, "" for none."""
    if not points:
        return ""
    first, last = points[0][0], points[-1][0]
    span = (last - first) or 1
    spots = [(2 + (width - 4) * (x - first) / span, 2 + (height - 4) * (1 - y)) for x, y in points]
    if len(spots) == 1:
        spots.append((width - 2, spots[0][1]))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)


def dots(values: Sequence[float | str], width: int = 400, height: int = TALL) -> list[tuple[str, str]]:
    """Where each value in 0..1 stands, from left to right, as text; a failure, which is a word, below the rest."""
    step = (width - 12) / max(1, len(values) - 1)
    rise = height - 20
    return [
        (f"{6 + step * at:.1f}", f"{height - 4}" if isinstance(value, str) else f"{6 + rise * (1 - value):.1f}")
        for at, value in enumerate(values)
    ]
