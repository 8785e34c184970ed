"""Many explanations as one PNG: authentic items beside synthetic ones, each with its map and the deletion test."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.dataset.items import DatasetItem
from detectors.explain.deletion import Deletion, deletion
from detectors.explain.maps import Explainable, HeatMap, heat_map
from detectors.explain.picture import overlay
from subnet.types import Label, Media

INK = {Label.REAL: "#0072B2", Label.SYNTHETIC: "#D55E00"}
NAMES = {Label.REAL: "authentic", Label.SYNTHETIC: "synthetic"}


@dataclass(frozen=True)
class Explained:
    """An item with its map for the answer that was given, and whether deleting what the map marks moves that answer."""

    record: DatasetItem
    p_synthetic: float
    heat_map: HeatMap
    deletion: Deletion


def explained(subject: Explainable, record: DatasetItem, media: Media, rng: np.random.Generator) -> Explained:
    """Map and deletion test of one picture as a miner would see it."""
    found = heat_map(subject, media)
    p_synthetic = subject.detector.calibration.probability(float(found.log_odds.mean()))
    return Explained(record, p_synthetic, found, deletion(subject, media, found, rng))


def sheet(items: Sequence[Explained]) -> bytes:
    """PNG bytes: a row for each pair of an authentic and a synthetic item, in the order given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sides = [[item for item in items if item.record.label is label] for label in Label]
    rows = max(map(len, sides))
    figure = Figure(figsize=(13.2, 2.35 * rows + 0.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    halves = figure.subfigures(1, 2, squeeze=False, wspace=0.03)
    for half, label, side in zip(halves[0], Label, sides, strict=True):
        half.suptitle(NAMES[label], fontsize=14, color=INK[label], fontweight="bold")
        grid = half.subplots(rows, 3, squeeze=False, width_ratios=(1, 1, 1.15))
        for cells, item in zip(grid, side, strict=False):
            _row(cells, item)
        for cell in grid[len(side) :].flat:
            cell.axis("off")
        if len(side):
            grid[0][2].legend(frameon=False, fontsize=7, loc="upper left")
            grid[len(side) - 1][2].set_xlabel("share of the picture removed", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _row(cells, item: Explained) -> None:  # type: ignore[no-untyped-def]
    """Picture, map, and how far log-odds move when cells are removed: the marked ones, and random ones."""
    plain, mapped, curve = cells
    best, game = item.heat_map.strongest, item.deletion
    plain.imshow(item.heat_map.pictures[best])
    mapped.imshow(overlay(item.heat_map.pictures[best], item.heat_map.heat[best]))
    right = (item.p_synthetic > 0.5) == bool(item.record.label)
    plain.set_title(f"{item.record.origin[-20:]}: P(synthetic) = {item.p_synthetic:.2f}", fontsize=8)
    answer = NAMES[item.heat_map.evidence_for]
    mapped.set_title(f"evidence for {answer}{'' if right else ' (wrong)'}", fontsize=8, color=INK[item.record.label])
    for axes in (plain, mapped):
        axes.axis("off")
    shares = [0.0, *game.shares]
    curve.plot(shares, [0.0, *game.salient], "o-", color=INK[item.record.label], markersize=3, label="what is marked")
    curve.plot(shares, [0.0, *game.random], "s--", color="#667085", markersize=3, label="random cells")
    curve.axhline(0, color="#bbbbbb", linewidth=0.8)
    curve.set_title(f"deletion: gain {game.gain:+.2f} log-odds", fontsize=8)
    curve.set_xticks(game.shares, [f"{share:.0%}" for share in game.shares])
    curve.tick_params(labelsize=7)
    curve.spines[["top", "right"]].set_visible(False)
    curve.margins(y=0.25)
