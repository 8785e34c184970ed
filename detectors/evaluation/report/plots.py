"""The pictures of a report, as PNG bytes: narrow enough for a phone, without a screen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import roc_curve

from detectors.evaluation.metrics import BINS, Floats, bin_of
from detectors.evaluation.summary import Answers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#999999")
DPI = 120


def canvas(width: float = 5.2, height: float = 4.2) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def png(figure: Figure) -> bytes:
    """The figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def roc(series: Mapping[str, Answers]) -> bytes:
    """True positives over false positives, one line per name, chance dashed."""
    figure, axes = canvas()
    axes.plot([0, 1], [0, 1], "--", color="#bbbbbb", linewidth=1)
    for colour, (name, given) in zip(COLOURS, series.items(), strict=False):
        false, true, _ = roc_curve(given.y, given.p)
        axes.plot(false, true, color=colour, linewidth=1.8, label=name, clip_on=False)
    axes.set(xlabel="reals called synthetic", ylabel="synthetic items found", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return png(figure)


def reliability(given: Answers) -> bytes:
    """Share that is synthetic over P(synthetic) in ten bins; dots grow with the number of answers."""
    figure, axes = canvas()
    bins = bin_of(given.p)
    axes.plot([0, 1], [0, 1], "--", color="#bbbbbb", linewidth=1)
    used = [number for number in range(BINS) if (bins == number).any()]
    said = [float(given.p[bins == number].mean()) for number in used]
    true = [float(given.y[bins == number].mean()) for number in used]
    counts = np.array([int((bins == number).sum()) for number in used])
    axes.plot(said, true, color=COLOURS[0], linewidth=1.2, alpha=0.6, clip_on=False)
    axes.scatter(said, true, s=20 + 260 * counts / counts.max(), color=COLOURS[0], alpha=0.75, zorder=3, clip_on=False)
    axes.set(xlabel="P(synthetic) as answered", ylabel="share that is synthetic", xlim=(0, 1), ylim=(0, 1))
    axes.set_aspect("equal")
    return png(figure)


def histogram(given: Answers) -> bytes:
    """How often each answer was given, reals and synthetic items apart."""
    figure, axes = canvas(height=3.0)
    edges = [number / 20 for number in range(21)]
    for label, name, colour in ((0, "real", COLOURS[0]), (1, "synthetic", COLOURS[1])):
        axes.hist(given.p[given.y == label], edges, color=colour, alpha=0.6, label=name)
    axes.axvline(0.5, color="#555555", linewidth=1, linestyle=":")
    axes.set(xlabel="P(synthetic) as answered", ylabel="answers", xlim=(0, 1))
    axes.legend(frameon=False, fontsize=9)
    return png(figure)


def ends(cell: Mapping[str, Any]) -> Floats:
    """Both ends of the interval of a cell, (2,): the value itself where there is none."""
    return np.array([cell["value"] if cell[end] is None else cell[end] for end in ("low", "high")])


def levels(by_level: Mapping[str, Any]) -> bytes:
    """AUC and balanced accuracy with intervals at each augmentation level."""
    figure, axes = canvas(height=3.2)
    places = np.arange(len(by_level))
    for shift, (name, label) in zip(
        (-0.06, 0.06), (("auc", "AUC"), ("balanced_accuracy", "balanced accuracy")), strict=True
    ):
        found = [level[name] for level in by_level.values()]
        values = np.array([each["value"] for each in found])
        lengths = np.abs([ends(each) - each["value"] for each in found]).T
        colour = COLOURS[shift > 0]
        axes.errorbar(places + shift, values, lengths, fmt="o-", color=colour, capsize=3, label=label)
    axes.axhline(0.5, color="#bbbbbb", linewidth=1, linestyle="--")
    axes.set(xlabel="augmentation level", ylim=(min(0.4, axes.get_ylim()[0]), 1.02))
    axes.set_xticks(places, list(by_level))
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    return png(figure)


def curves(robust: Mapping[str, Any], metric: str = "auc") -> bytes:
    """A small panel for each distortion chain: AUC with its interval over the chain's parameter."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(robust) // 2)
    figure = Figure(figsize=(5.6, 2.3 * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid: Sequence[Axes] = list(figure.subplots(rows, 2, sharey=True, squeeze=False).flat)
    for axes, colour, (name, curve) in zip(grid, COLOURS, robust.items(), strict=False):
        points = curve["points"]
        values = [point["value"] for point in points]
        axes.fill_between(values, *np.array([ends(point[metric]) for point in points]).T, color=colour, alpha=0.2)
        axes.plot(values, [p[metric]["value"] for p in points], "o-", color=colour, markersize=4)
        axes.axhline(0.5, color="#bbbbbb", linewidth=1, linestyle="--")
        axes.set_title(name, fontsize=10, loc="left")
        axes.set_xlabel(
            " ".join(filter(None, (curve["parameter"], f"({curve['unit']})" if curve["unit"] else ""))), fontsize=8
        )
        axes.set_xlim(values[0], values[-1])
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    for axes in grid[len(robust) :]:
        axes.axis("off")
    for axes in grid[::2]:
        axes.set_ylabel(metric.upper(), fontsize=8)
    return png(figure)


def bars(found: Mapping[str, Mapping[str, Any]], label: str = "AUC") -> bytes:
    """A dot with its interval for each name, the first on top; chance dashed at 0.5."""
    figure, axes = canvas(height=1.0 + 0.3 * len(found))
    places = np.arange(len(found))[::-1]
    values = np.array([cell["value"] for cell in found.values()])
    lengths = np.abs([ends(cell) - cell["value"] for cell in found.values()]).T
    axes.errorbar(values, places, xerr=lengths, fmt="o", color=COLOURS[0], capsize=3)
    axes.axvline(0.5, color="#bbbbbb", linewidth=1, linestyle="--")
    axes.set_yticks(places, list(found))
    axes.set(xlabel=label, xlim=(min(0.4, axes.get_xlim()[0]), 1.02))
    return png(figure)


def alarms(by_kind: Mapping[str, Mapping[str, Any]]) -> bytes:
    """For each kind the share called synthetic with its interval, a colour for each level, the first kind on top."""
    figure, axes = canvas(height=1.0 + 0.3 * len(by_kind))
    places = np.arange(len(by_kind))[::-1]
    levels = sorted({level for cells in by_kind.values() for level in cells})
    for number, (level, colour) in enumerate(zip(levels, COLOURS, strict=False)):
        there = [(place, cells[level]) for place, cells in zip(places, by_kind.values(), strict=True) if level in cells]
        values = np.array([cell["value"] for _, cell in there])
        lengths = np.abs([ends(cell) - cell["value"] for _, cell in there]).T
        heights = np.array([place for place, _ in there]) - 0.15 * number
        axes.errorbar(values, heights, xerr=lengths, fmt="o", color=colour, capsize=2, label=f"level {level}")
    axes.set_yticks(places, list(by_kind))
    axes.set(xlabel="called synthetic", xlim=(-0.02, 1.02))
    if len(levels) > 1:
        axes.legend(frameon=False, fontsize=9)
    return png(figure)


def profiles(found: Mapping[str, Floats], base: str, xlabel: str, ylabel: str) -> bytes:
    """Curves (items, points) by name: their means, and these less that of `base`, each with its standard error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 6.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    zero = found[base].mean(axis=0)
    for colour, (name, rows) in zip(COLOURS, found.items(), strict=False):
        x, mean = np.linspace(0, 1, rows.shape[1]), rows.mean(axis=0)
        error = rows.std(axis=0) / np.sqrt(len(rows))
        for axes, curve in ((upper, mean), (lower, mean - zero)):
            axes.fill_between(x, curve - error, curve + error, color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, curve, color=colour, linewidth=1.6, label=f"{name} ({len(rows)})")
    for axes, title in ((upper, "mean"), (lower, f"less the mean of {base}")):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set(ylabel=ylabel, xlim=(0, 1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    lower.set_xlabel(xlabel)
    upper.legend(frameon=False, fontsize=9)
    return png(figure)


def heats(found: Mapping[str, Floats], label: str) -> bytes:
    """Maps (H, W) of one signed quantity side by side, on one scale around 0."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    most = max(float(np.abs(each).max()) for each in found.values()) or 1.0
    columns = 3 if len(found) > 4 else 2
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(0.6 + 2.1 * columns, 2.3 * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid:
        axes.axis("off")
    for axes, (name, each) in zip(grid, found.items(), strict=False):
        image = axes.imshow(each, cmap="PuOr_r", vmin=-most, vmax=most)
        axes.set_title(name, fontsize=10)
    figure.colorbar(image, ax=grid, shrink=0.8, label=label)
    return png(figure)
