"""Pictures of what the laboratory found, drawn without a screen."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from neurons.lab.findings import Findings
from neurons.lab.measures import CONFIDENCE, NEAR, bound
from subnet.game.canaries import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, SKY, ORANGE, RED, GREEN, GREY = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#888888"


def draw(found: Findings) -> dict[str, bytes]:
    """PNGs by name; those whose numbers were not measured are not there."""
    import matplotlib as mpl

    mpl.use("Agg")
    pictures = {"lab-shares": _picture(found, _shares, (8.2, 0.235 * len(_miners(found)) + 1.1))}
    pictures["lab-order"] = _picture(found, _order, (8.2, 3.6))
    pictures["lab-newcomer"] = _picture(found, _newcomer, (8.2, 3.2))
    if found.frontier:
        pictures["lab-frontier"] = _picture(found, _frontier, (8.2, 4.2))
    if found.recall:
        pictures["lab-likeness"] = _picture(found, _recall, (8.2, 3.4))
    return pictures


def _picture(found: Findings, paint: Callable[[Findings, Axes], None], size: tuple[float, float]) -> bytes:
    import matplotlib.pyplot as plt

    figure: Figure
    figure, axes = plt.subplots(figsize=size, dpi=110)
    paint(found, axes)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    file = BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


def _miners(found: Findings) -> list[tuple[str, float, float, float, str]]:
    """Name, share, low, high over the fair share, and colour, the best paid first."""
    fair = 1 / found.rules.miners
    rows = []
    for line in found.lines:
        if line.kind == "miner":
            pays = line.gain is not None and line.gain.pays
            colour = BLUE if not line.beside else RED if pays else ORANGE
            rows.append((line.name, line.share / fair, line.low / fair, line.high / fair, colour))
    return sorted(rows, key=lambda row: row[1])


def _shares(found: Findings, axes: Axes) -> None:
    rows = _miners(found)
    for place, (_, share, low, high, colour) in enumerate(rows):
        axes.plot((low, high), (place, place), color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="round")
        axes.plot(share, place, "o", color=colour, markersize=5)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8.5)
    axes.axvline(1, color=GREY, linewidth=0.8)
    axes.set(
        xlim=(0, None), ylim=(-0.7, len(rows) - 0.3), xlabel="share of the reward per key (1: the same for everybody)"
    )
    for colour, text in ((BLUE, "honest"), (ORANGE, "trick that does not pay"), (RED, "trick that pays: open")):
        axes.plot([], [], "o", color=colour, label=text)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.grid(axis="x", alpha=0.25)


def _order(found: Findings, axes: Axes) -> None:
    pairs, rules = found.pairs, found.rules
    share = min(1.0, rules.sample_size / rules.miners)
    rounds = np.array(pairs.times)
    one, all_of_them = "one validator", f"the chain, {rules.validators} validators"
    axes.plot(rounds, [bound(n * share) for n in rounds], "--", color=SKY, linewidth=1.2, label=f"bound, {one}")
    more = [bound(n * share * rules.validators) for n in rounds]
    axes.plot(rounds, more, "--", color=GREEN, linewidth=1.2, label=f"bound, {all_of_them}")
    axes.plot(rounds, pairs.order, color=BLUE, linewidth=1.8, label=one)
    axes.plot(pairs.epochs, pairs.chain, "o-", color=GREEN, linewidth=1.8, markersize=3, label=all_of_them)
    axes.axhline(CONFIDENCE, color=GREY, linewidth=0.8)
    axes.axvline(1000, color=GREY, linewidth=0.8)
    axes.set(xlim=(0, rounds[-1]), ylim=(0.5, 1.005), xlabel="rounds", ylabel=".90 below .93, chance")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.grid(alpha=0.25)


def _newcomer(found: Findings, axes: Axes) -> None:
    pairs, share = found.pairs, min(1.0, found.rules.sample_size / found.rules.miners)
    last = 1000
    joined = [at for at in pairs.joined if at <= last]
    axes.plot(
        [at * share for at in joined],
        pairs.standing[: len(joined)],
        color=BLUE,
        linewidth=1.8,
        label="a validator's weights",
    )
    times, values = pairs.on_chain
    epochs = [(at * share, value) for at, value in zip(times, values, strict=True) if at <= last]
    if epochs:
        axes.plot(
            *zip(*epochs, strict=True),
            "o-",
            color=GREEN,
            linewidth=1.4,
            markersize=4,
            label="paid on chain, each epoch",
        )
    axes.axhline(1 - NEAR, color=GREY, linewidth=0.8)
    axes.axvline(80, color=GREY, linewidth=0.8)
    axes.set(xlim=(0, last * share), ylim=(0, 1.05), xlabel="own answers since it came", ylabel="over its place")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.grid(alpha=0.25)


def _frontier(found: Findings, axes: Axes) -> None:
    share = min(1.0, found.rules.sample_size / found.rules.miners)
    reached = [(point.answers_to_rank, point) for point in found.frontier if point.answers_to_rank is not None]
    label_at = 0.0
    for answers, point in sorted(reached, key=lambda pair: pair[1].in_the_end):
        smoothing = point.smoothing
        colour = RED if smoothing == found.rules.smoothing else BLUE if smoothing.averaging else ORANGE
        axes.plot((answers, answers), (point.after_thousand, point.in_the_end), color=colour, alpha=0.5)
        axes.plot(answers, point.after_thousand, "o", color=colour, fillstyle="none", markersize=6)
        axes.plot(answers, point.in_the_end, "o", color=colour, markersize=6)
        averaged = f"average of {smoothing.averaging}, at most x{smoothing.headroom}"
        text = averaged if smoothing.averaging else f"alpha {smoothing.alpha}, no average"
        label_at = max(label_at + 0.011, point.in_the_end) if smoothing.averaging else label_at
        place = (60, label_at) if smoothing.averaging else (answers + 1.5, point.in_the_end)
        axes.annotate(text, (answers, point.in_the_end), place, fontsize=8, color=colour, va="center")
    axes.axhline(CONFIDENCE, color=GREY, linewidth=0.8)
    axes.axhline(bound(1000 * share), color=SKY, linewidth=1.2, linestyle="--", label="bound after 1,000 rounds")
    axes.axvline(80, color=GREY, linewidth=0.8)
    for style, text in (("none", "after 1,000 rounds"), ("full", "in the end")):
        axes.plot([], [], "o", color=BLUE, fillstyle=style, label=text)
    axes.set(xlabel="own answers until a newcomer stands within 5 %", ylabel=".90 below .93, chance, one validator")
    axes.set(xlim=(30, 190), ylim=(None, 1.02))
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    axes.grid(alpha=0.25)


def _recall(found: Findings, axes: Axes) -> None:
    shared = [r.shared for r in found.recall]
    for colour, name in zip((BLUE, SKY, GREEN, ORANGE, RED), found.recall[0].pairs, strict=False):
        hits = [r.pairs[name] for r in found.recall]
        axes.plot(shared, [h.share for h in hits], "o-", color=colour, label=name, linewidth=1.6)
        ends = np.array([wilson(h) for h in hits])
        axes.fill_between(shared, ends[:, 0], ends[:, 1], color=colour, alpha=0.15, linewidth=0)
    wrong = [r.wrong.share for r in found.recall]
    axes.plot(shared, wrong, "x--", color=GREY, label="wrong links, share of all", linewidth=1.2)
    axes.set_xscale("log", base=2)
    axes.set_xticks(shared, [str(n) for n in shared])
    axes.set(ylim=(-0.02, 1.04), xlabel="rounds that both were asked in", ylabel="pairs recognised")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
