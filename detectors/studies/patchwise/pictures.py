"""The pictures of the study of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.evaluation.metrics import Floats
from detectors.evaluation.report.plots import COLOURS, DPI, canvas, png
from detectors.studies.report import Picture
from subnet.types import Media

REAL, SYNTHETIC = COLOURS[0], COLOURS[1]


@dataclass(frozen=True)
class Curve:
    """Accuracy, and the share of all patches that are kept, over thresholds of reliability."""

    thresholds: Sequence[float]
    accuracy: Sequence[float]
    kept: Sequence[float]


def thresholds(curves: Mapping[str, Curve]) -> Picture:
    """Accuracy against the threshold of reliability, and how many patches are left."""
    figure, above = canvas(5.6, 5.4)
    above.remove()
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 2))
    above, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        above.plot(curve.thresholds, curve.accuracy, color=colour, linewidth=1.8, label=name)
        below.plot(curve.thresholds, curve.kept, color=colour, linewidth=1.8)
    above.axhline(0.5, color="#bbbbbb", linewidth=1, linestyle="--")
    values = [value for curve in curves.values() for value in curve.accuracy]
    above.set(
        ylabel="accuracy of the majority", xlim=(0, 1), ylim=(min(0.47, *values) - 0.02, max(0.6, *values) + 0.02)
    )
    above.legend(title="patches", frameon=False, fontsize=9, ncols=2, loc="best")
    below.set(xlabel="threshold of |P(real) - P(synthetic)|", ylabel="share of patches above", xlim=(0, 1))
    below.set_ylim(0, 1.02)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    caption = "Only reliable patches decide; a picture without any is decided by all of them. Dashed: chance."
    return Picture(png(figure), caption)


def epochs(courses: Mapping[str, Sequence[tuple[int, float, float]]]) -> Picture:
    """Accuracy after every epoch, of single patches and of pictures."""
    figure, axes = canvas(5.6, 3.8)
    for colour, (name, rows) in zip(COLOURS, courses.items(), strict=False):
        steps, patches, whole = zip(*rows, strict=True)
        axes.plot(steps, whole, "o-", color=colour, linewidth=1.8, markersize=4, label=name)
        axes.plot(steps, patches, "o--", color=colour, linewidth=1, markersize=3, alpha=0.8)
    axes.axhline(0.5, color="#bbbbbb", linewidth=1, linestyle=":")
    axes.set(xlabel="step", ylabel="accuracy on test items")
    axes.legend(title="patches", frameon=False, fontsize=9, ncols=2, loc="best")
    caption = "After every epoch. Solid: pictures, by the mean of log-odds; dashed: single patches; dotted: chance."
    return Picture(png(figure), caption)


def verdicts(media: Sequence[Media], grids: Mapping[str, Floats], mean: Sequence[float]) -> Picture:
    """A photograph above its synthetic twin, and beside each the verdicts on its patches of every size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(1.9 * (1 + len(grids)), 4.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, 1 + len(grids), squeeze=False)
    for number, (row, name) in enumerate(zip(rows, ("photograph", "synthetic twin"), strict=True)):
        picture = media[number].frames[0]
        row[0].imshow(picture)
        row[0].set_title(name, fontsize=9, loc="left")
        for axes, (size, grid) in zip(row[1:], grids.items(), strict=True):
            axes.imshow(painted(picture, grid[number]))
            share = float((grid[number] > 0).mean())
            axes.set_title(f"{size}: {share:.0%} synthetic", fontsize=9, loc="left")
        for axes in row:
            axes.axis("off")
    keys = [Patch(color=REAL, label="called real"), Patch(color=SYNTHETIC, label="called synthetic")]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    words = " and ".join(f"{value:+.2f}" for value in mean)
    caption = (
        "Verdicts on single patches, the stronger the more reliable. Of all test pairs this one lies in the middle by "
        f"how far apart its two mean log-odds are at 64 px ({words})."
    )
    return Picture(png(figure), caption)


def painted(picture: np.ndarray, log_odds: Floats) -> np.ndarray:
    """A greyed picture (H, W, 3) with a wash of colour over each patch, as strong as its verdict is reliable."""
    from matplotlib.colors import to_rgb

    height, width = picture.shape[0] // log_odds.shape[0], picture.shape[1] // log_odds.shape[1]
    whole = np.kron(log_odds, np.ones((height, width)))
    grey = picture[: whole.shape[0], : whole.shape[1]].mean(axis=-1, keepdims=True)
    colours = np.array([to_rgb(REAL), to_rgb(SYNTHETIC)]) * 255
    wash = colours[(whole > 0).astype(int)]
    strength = 0.12 + 0.58 * np.abs(np.tanh(whole / 2))[..., None]
    blended: np.ndarray = np.clip((1 - strength) * grey + strength * wash, 0, 255).astype(np.uint8)
    return blended
