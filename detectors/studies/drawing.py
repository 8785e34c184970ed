"""Pictures that the studies have in common, as PNG bytes: curves, clouds of points, confusion matrices, sheets."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.metrics import Floats, Ints
from detectors.evaluation.report.plots import COLOURS, DPI
from subnet.types import Frames

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASSES = ("real", "synthetic")


@dataclass(frozen=True)
class Panel:
    """One set of axes with curves by name, each of (x, y) in its order."""

    title: str
    x: str
    y: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    logarithmic: bool = False


def _panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in axes[count:]:
        empty.axis("off")
    return figure, axes[:count]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.tick_params(which="both", labelsize=8)


def curves(panels: Sequence[Panel], columns: int = 2) -> bytes:
    """Panels of curves side by side; a curve of few points shows them. One name has one colour in all panels."""
    figure, places = _panels(len(panels), min(columns, len(panels)), 3.4, 2.8)
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    colour = dict(zip(names, COLOURS * 4, strict=False))
    for axes, panel in zip(places, panels, strict=True):
        for name, (x, y) in panel.curves.items():
            axes.plot(x, y, "o-" if len(x) < 12 else "-", color=colour[name], markersize=3, linewidth=1.5, label=name)
        if panel.logarithmic:
            axes.set_yscale("log")
        axes.set_title(panel.title, fontsize=10, loc="left")
        axes.set_xlabel(panel.x, fontsize=8)
        axes.set_ylabel(panel.y, fontsize=8)
        _plain(axes)
        axes.legend(frameon=False, fontsize=8)
    return _png(figure)


def clouds(points: Mapping[str, tuple[Floats, Ints]], axis: str = "component") -> bytes:
    """The first two columns of each matrix (N, 2 or more), reals and synthetic items apart."""
    figure, places = _panels(len(points), min(3, len(points)), 2.6, 2.6)
    for axes, (name, (x, labels)) in zip(places, points.items(), strict=True):
        for label, (what, colour, mark) in enumerate(zip(CLASSES, COLOURS, "ox", strict=False)):
            chosen = labels == label
            axes.scatter(x[chosen, 0], x[chosen, 1], s=12, color=colour, marker=mark, alpha=0.6, label=what)
        axes.set_title(name, fontsize=10, loc="left")
        axes.set_xlabel(f"{axis} 1", fontsize=8)
        axes.set_ylabel(f"{axis} 2", fontsize=8)
        _plain(axes)
    places[0].legend(frameon=False, fontsize=8)
    return _png(figure)


def matrices(counts: Mapping[str, Floats]) -> bytes:
    """Confusion matrices (2, 2) of counts: rows are the truth, columns the answer, each row coloured by its shares."""
    figure, places = _panels(len(counts), min(4, len(counts)), 2.1, 2.2)
    for axes, (name, matrix) in zip(places, counts.items(), strict=True):
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(2, 2):
            ink = "white" if shares[row, column] > 0.6 else "black"
            text = f"{matrix[row, column]:.0f}\n{shares[row, column]:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
        axes.set_title(name, fontsize=10, loc="left")
        axes.set_xticks([0, 1], CLASSES, fontsize=8)
        axes.set_yticks([0, 1], CLASSES, fontsize=8, rotation=90, va="center")
        axes.set_xlabel("answered", fontsize=8)
        axes.set_ylabel("is", fontsize=8)
    return _png(figure)


def sheet(rows: Mapping[str, Sequence[Frames | NDArray[Any]]], titles: Sequence[str], side: float = 1.5) -> bytes:
    """Pictures (H, W, 3) in rows by name, a title above each column."""
    count = max(map(len, rows.values()))
    figure, places = _panels(len(rows) * count, count, side, side * 1.06)
    for number, (name, pictures) in enumerate(rows.items()):
        for column in range(count):
            axes = places[number * count + column]
            if column < len(pictures):
                axes.imshow(pictures[column])
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            if number == 0 and column < len(titles):
                axes.set_title(titles[column], fontsize=8)
            if column == 0:
                axes.set_ylabel(name, fontsize=8)
    return _png(figure)
