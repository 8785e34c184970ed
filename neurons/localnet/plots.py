"""Pictures of a run, drawn without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from subnet.media.contact_sheet import Layout, Tile, contact_sheet

COLOURS = ("#0072B2", "#56B4E9", "#E69F00", "#999999", "#D55E00", "#CC79A7", "#009E73", "#F0E442", "#000000")
SIDE = 158  # of a challenge, pixels


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


def draw_challenges(pictures: Sequence[tuple[Image.Image, Sequence[str]]], path: Path, columns: int = 10) -> None:
    """Challenges as miners saw them; above each its number, label, origin and level."""
    tiles = []
    for picture, (number, modality, label, origin, level) in pictures:
        sign = " (video)" if modality == "video" else ""
        lines = (f"{number}: {label}{sign}", f"{origin}, level {level}")
        ink = "#B5179E" if label == "synthetic" else "#0072B2"
        tiles.append(Tile(picture.resize((SIDE, SIDE)), lines, ink))
    layout = Layout(gap=7, caption=32, above=True, font=12, ground="white")
    contact_sheet(tiles, columns, layout).save(path)
