"""Table and picture of a soak, from the looks that `benchmarks.soak` printed while it played."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from subnet.game.places import WINDOW

SETTLED = 500  # rounds after which kept media is full and segments were packed


def halves(looks: list[dict[str, float]]) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Looks of both halves of the rounds. Raises SystemExit where the second begins before all has settled."""
    middle = looks[-1]["round"] / 2 if looks else 0
    if middle < SETTLED:
        raise SystemExit(f"{2 * middle:.0f} rounds say nothing yet: let it play {2 * SETTLED:,} at least")
    return [look for look in looks if look["round"] <= middle], [look for look in looks if look["round"] > middle]


def slope(looks: list[dict[str, float]], field: str) -> float:
    """Least-squares growth a round."""
    return float(np.polyfit([look["round"] for look in looks], [look[field] for look in looks], 1)[0])


def result(looks: list[dict[str, float]], miners: int) -> dict[str, Any]:
    """The table of the page."""
    first, second = halves(looks)
    last, rounds = looks[-1], f"{looks[-1]['round']:.0f}"

    def span(side: list[dict[str, float]], field: str, unit: float = 1, digits: int = 0) -> str:
        values = [look[field] / unit for look in side]
        return f"{min(values):,.{digits}f} to {max(values):,.{digits}f}"

    def both(name: str, *about: Any, after: str = "") -> list[str]:
        return [name, *(f"{span(side, *about)}{after}" for side in (first, second))]

    def slopes(name: str, field: str, unit: float, after: str, digits: int = 2) -> list[str]:
        return [name, *(f"{slope(side, field) * unit:+,.{digits}f} {after}" for side in (first, second))]

    rows = [
        slopes("resident memory, slope", "memory", 1e-3, "MB per 1,000 rounds"),
        both("resident memory", "memory", 1e6, after=" MB"),
        both("resident memory, the most so far", "peak", 1e6, after=" MB"),
        slopes("blocks of Python's allocator, slope", "blocks", 1, "a round", 1),
        both("descriptors", "descriptors"),
        both("threads", "threads"),
        both("tasks of the event loop", "tasks"),
        both("journal, live file", "live", 1e6, 1, after=" MB"),
        slopes("journal, segments", "segments", 1, "B a round", 0),
        slopes("ledger, forgotten after 30 days", "ledger", 1, "B a round", 0),
        both("kept media, 5 MB allowed", "kept", 1e6, 1, after=" MB"),
    ]
    return {
        "title": "Weeks in minutes",
        "command": f"python -m benchmarks.soak --rounds {rounds} --miners {miners} --json benchmarks/results/soak.json "
        "--picture docs/pictures/soak.png",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"A validator that asks {miners} miners in each of {last['round']:,.0f} rounds, without a pause, in "
            f"{last['seconds'] / 60:.0f} minutes. Real are the whole validator, its files, bittensor's client and a "
            "development chain with epochs, commitments and weights; the media is small noise, one round in a hundred "
            "is a clip, and the miners are one server that signs at once and fails in about one reply of 17. "
            f"It starts with the answers of {WINDOW:,} rounds, its longest window in memory. Slopes are least-squares "
            "lines, spans lowest to highest."
        ],
        "digits": [3, 2],
        "columns": [
            "what",
            *(f"rounds {side[0]['round']:,.0f} to {side[-1]['round']:,.0f}" for side in (first, second)),
        ],
        "rows": rows,
        "notes": ["![Memory, descriptors and files over the rounds](pictures/soak.png)"],
    }


def draw(looks: list[dict[str, float]], path: Path) -> None:
    """Memory, counts and files over rounds."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 1, figsize=(8, 7.5), dpi=120, sharex=True)
    panels = {
        "resident memory, MB": (("memory", "peak"), 1e6),
        "count": (("descriptors", "threads", "tasks"), 1),
        "files, MB": (("live", "segments", "ledger", "kept"), 1e6),
    }
    for panel, (title, (names, unit)) in zip(axes, panels.items(), strict=True):
        for name in names:
            panel.plot([look["round"] for look in looks], [look[name] / unit for look in looks], label=name)
        panel.axvline(looks[-1]["round"] / 2, color="grey", linewidth=0.8, linestyle=":")
        panel.set(ylabel=title, ylim=(0, None))
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", alpha=0.25)
        if len(names) > 1:
            panel.legend(frameon=False, ncols=len(names), fontsize=8)
    axes[0].text(looks[-1]["round"] / 2, 0, " second half", color="grey", fontsize=8, va="bottom")
    axes[-1].set(xlabel="rounds")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
