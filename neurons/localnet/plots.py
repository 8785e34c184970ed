"""Pictures of a run, drawn without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

COLOURS = ("#0072B2", "#56B4E9", "#E69F00", "#999999", "#D55E00", "#CC79A7", "#009E73", "#F0E442", "#000000")


def score_curves(curves: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Score over rounds, one line per miner, each named at its end."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), dpi=140)
    ends = []
    for colour, (name, points) in zip(COLOURS, curves.items(), strict=False):
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.6)
            ends.append((points[-1][1], points[-1][0], name, colour))
    at = -1.0
    for score, number, name, colour in sorted(ends):
        at = max(score, at + 0.045)
        axes.annotate(
            f" {name} {score:.3f}", (number, at), color=colour, va="center", fontsize=9, annotation_clip=False
        )
    axes.set(xlabel="round", ylabel="score", ylim=(0, 1.02), title="Scores of a local network")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    figure.subplots_adjust(left=0.07, right=0.82, bottom=0.12, top=0.92)
    figure.savefig(path)
    plt.close(figure)


def contact_sheet(pictures: Sequence[tuple[Image.Image, Sequence[str]]], path: Path, columns: int = 10) -> None:
    """Challenges as miners saw them; below each its number, label, origin and level."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = -(-len(pictures) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.85 * rows), dpi=110, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, (picture, (number, modality, label, origin, level)) in zip(grid.flat, pictures, strict=False):
        axes.imshow(picture)
        sign = " (video)" if modality == "video" else ""
        colour = "#B5179E" if label == "synthetic" else "#0072B2"
        axes.set_title(f"{number}: {label}{sign}\n{origin}, level {level}", fontsize=7, color=colour)
    figure.tight_layout(pad=0.4)
    figure.savefig(path)
    plt.close(figure)
