"""An explanation as one PNG: what the network saw, where the evidence lies, and for a clip the answer over time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.calibration import Calibration, Verdict
from detectors.explain.maps import HeatMap
from detectors.explain.timeline import Moment
from subnet.types import Frames, Label

INK = {
    Verdict.NO_TRACE: "#0072B2",
    Verdict.CANNOT_TELL: "#667085",
    Verdict.UNCERTAIN: "#667085",
    Verdict.SYNTHETIC: "#B5179E",
}


def overlay(picture: Frames, heat: NDArray[np.float32]) -> Frames:
    """The map laid over a greyed picture (H, W, 3): the warmer, the more evidence."""
    from matplotlib import colormaps

    colour = colormaps["inferno"](heat)[..., :3] * 255
    grey = picture.mean(axis=-1, keepdims=True)
    share = 0.25 + 0.6 * heat[..., None]
    blended: Frames = np.clip((1 - share) * grey + share * colour, 0, 255).astype(np.uint8)
    return blended


def draw(
    name: str,
    p_synthetic: float,
    calibration: Calibration,
    heat_map: HeatMap | None,
    moments: Sequence[Moment] = (),
    most: int = 4,
    gain: float | None = None,
    verdict: Verdict | None = None,
) -> bytes:
    """PNG bytes; `name` is printable, `gain` the result of the deletion test in log-odds.

    Without a `verdict` it is the calibration's.

    Of a clip at most `most` views are shown, the loudest, in their order.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

    columns = _chosen(heat_map, most) if heat_map is not None else []
    width = max(2, len(columns)) if len(columns) != 1 else 2
    figure = Figure(figsize=(2.6 * width, (5.6 if len(columns) > 1 else 3.2) + (1.9 if moments else 0)), dpi=120)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    heights = [2.6] * (2 if len(columns) > 1 else 1) + ([1.8] if moments else [])
    grid = GridSpec(len(heights), width, figure, height_ratios=heights)
    if heat_map is not None:
        _pictures(figure, grid, heat_map, columns)
    if moments:
        _over_time(figure.add_subplot(grid[-1, :]), moments, calibration)
    verdict = verdict or calibration.verdict(p_synthetic)
    title = f"{name[-48:]}\n{verdict}, P(synthetic) = {p_synthetic:.3f}"
    if gain is not None:
        title += f"\ndeletion test: {gain:+.2f} log-odds, the map is {'' if gain > 0 else 'not '}faithful"
    figure.suptitle(title, fontsize=11, color=INK[verdict], parse_math=False)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # an empty box stands in its place
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _chosen(heat_map: HeatMap, most: int) -> list[int]:
    loud = heat_map.log_odds if heat_map.evidence_for is Label.SYNTHETIC else -heat_map.log_odds
    return sorted(np.argsort(-loud, kind="stable")[:most].tolist())


def _pictures(figure, grid, heat_map: HeatMap, columns: Sequence[int]) -> None:  # type: ignore[no-untyped-def]
    """One view side by side with its map; several in two rows."""
    for place, view in enumerate(columns):
        single = len(columns) == 1
        plain = figure.add_subplot(grid[0, 0] if single else grid[0, place])
        mapped = figure.add_subplot(grid[0, 1] if single else grid[1, place])
        plain.imshow(heat_map.pictures[view])
        mapped.imshow(overlay(heat_map.pictures[view], heat_map.heat[view]))
        title = "what the network saw" if single else f"view {view + 1}: {heat_map.log_odds[view]:+.2f}"
        plain.set_title(title, fontsize=8)
        if place == 0:
            mapped.set_title(f"evidence for {heat_map.evidence_for.name.lower()}", fontsize=8)
        plain.axis("off")
        mapped.axis("off")


def _over_time(axes, moments: Sequence[Moment], calibration: Calibration) -> None:  # type: ignore[no-untyped-def]
    axes.axhspan(calibration.low, calibration.high, color="#eceff3")
    axes.plot([m.seconds for m in moments], [m.p_synthetic for m in moments], "o-", color="#0072B2", markersize=4)
    axes.set(xlabel="seconds", ylabel="P(synthetic)", ylim=(-0.03, 1.03))
    axes.spines[["top", "right"]].set_visible(False)
