"""What an evaluation found, as tables and lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from neurons.terminal import terminal

SHOWN = ("accuracy", "balanced_accuracy", "mcc", "auc", "ap", "brier", "ece", "reward")


def findings_table(findings: Mapping[str, Any]) -> Table:
    """The metrics of an evaluation, or the false alarms of an exam."""
    return alarm_table(findings) if findings.get("exam") else metric_table(findings)


def alarm_table(findings: Mapping[str, Any]) -> Table:
    """The share of real pictures called synthetic, all together, by kind, and what one verdict is worth."""
    from detectors.evaluation.intervals import span

    title = f"{findings['detector']} on {findings['data']}: real pictures called synthetic, %, of {findings['items']}"
    levels = list(findings["by_level"])
    table = Table("", "pictures", *(f"level {level}" for level in levels), box=None, title=title)
    for column in table.columns:
        column.no_wrap = True

    def row(name: str, pictures: int | str, cells: Mapping[str, Any]) -> None:
        percent = {
            level: {end: _percent(cell[end]) for end in ("value", "low", "high")} for level, cell in cells.items()
        }
        texts = [f"{cell['value']:.1f}  [dim]{span(cell, '.1f', '-')}[/]" for cell in percent.values()]
        table.add_row(name, str(pictures), *texts)

    row("all but resaved", "", {level: cells["type_1_error"] for level, cells in findings["by_level"].items()})
    for kind, cells in findings["by_kind"].items():
        row(kind, max(cell["pictures"] for cell in cells.values()), cells)
    if again := findings["consistency"]:
        times = max(each["times"] for each in again.values())
        pictures = max(each["one_verdict"]["pictures"] for each in again.values())
        row(
            f"one verdict, {times} times resaved",
            pictures,
            {level: each["one_verdict"] for level, each in again.items()},
        )
        row("accused in any of these", pictures, {level: each["accused"] for level, each in again.items()})
    return table


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def null_line(null: Mapping[str, Any]) -> str:
    """What the zero-pixel null says, in one line."""
    from detectors.evaluation.intervals import span

    parts = [f"AUC {null['auc']['value']:.3f} [{span(null['auc'], '.2f', '-')}] on black pictures"]
    parts += [f"{name.replace('_', ' ')} alone {cell['value']:.3f}" for name, cell in null["files"].items()]
    leak = ": something besides the pixels tells the classes apart" if null["leaks"] else ""
    return f"null: {', '.join(parts)}{leak}"


def harm_line(everyday: Mapping[str, Any]) -> str:
    """Which everyday pictures `assay detect` calls synthetic by these weights, in one line."""
    whole, *_ = everyday["by_kind"].values()
    kinds = [
        f"{kind} {cell['count']} of {cell['items']}" for kind, cell in everyday["by_kind"].items() if cell["count"]
    ]
    named = f" ({', '.join(kinds[1:])})" if kinds else ""
    return f"everyday pictures that assay detect calls synthetic: {whole['count']} of {whole['items']}{named}"


def metric_table(findings: Mapping[str, Any]) -> Table:
    """The metrics of SHOWN over all answers and at each level, and what is found at two rates of false alarms."""
    from detectors.evaluation.intervals import span
    from detectors.evaluation.metrics import RATES

    title = f"{findings['detector']} on {findings['data']}: {findings['items']} items, {findings['answers']} answers"
    table = Table("", "all", *(f"level {level}" for level in findings["by_level"]), box=None, title=title)
    for column in table.columns:
        column.no_wrap = True
    for name in SHOWN:
        cells = [findings[name], *(level[name] for level in findings["by_level"].values())]
        texts = [f"{cell['value']:.3f}  [dim]{span(cell, '.2f', '-')}[/]" for cell in cells]
        table.add_row(name.replace("_", " "), *texts)
    for name in RATES:
        cells = [findings[name], *(level[name] for level in findings["by_level"].values())]
        texts = [f"{cell['value']:.3f}  [dim]{span(cell, '.2f', '-')}[/]" for cell in cells]
        table.add_row(f"found at {RATES[name]:.0%} FPR".replace("%", " %"), *texts)
        table.add_row("  called above", *(f"{cell['threshold']['value']:.3f}" for cell in cells))
    return table


def tell_order(findings: Mapping[str, Any]) -> None:
    """Print what is left of a detector of clips when their frames are in another order, where that was asked."""
    if controls := findings.get("controls"):
        terminal().print(order_table(controls))
    if share := findings.get("temporal_share"):
        print(f"{findings['detector']}: {share_line(share)}")


def share_line(share: Mapping[str, Any]) -> str:
    """Which share of the evidence is temporal, in one line."""
    from detectors.evaluation.intervals import span

    told = f"AUC {share['auc']['value']:.3f} [{span(share['auc'], '.2f', '-')}] on {share['clips']} clips"
    if share["value"] is None:
        return f"temporal share: none, since nothing is surely told apart: {told}"
    return (
        f"temporal share: {share['value']:.2f} [{span(share, '.2f', '-')}] of what it tells above chance is lost when "
        f"frames are shuffled: {told}"
    )


def order_table(controls: Mapping[str, Any]) -> Table:
    from detectors.evaluation.intervals import span

    table = Table("", "AUC", "plain minus this", "sure", box=None, title="frames in another order")
    for form, cells in controls.items():
        less = cells["plain_minus_this"]
        texts = [f"{cell['value']:+.3f}  [dim]{span(cell, '+.2f', '..')}[/]" for cell in (cells["auc"], less)]
        table.add_row(form, *texts, "yes" if less["sure"] else "no")
    return table


def difference_table(differences: Mapping[str, Any]) -> Table:
    from detectors.evaluation.intervals import span

    table = Table("", "difference", "95 % interval", "sure", box=None, title="first minus second")
    for name, cell in differences["differences"].items():
        if name not in SHOWN and len(differences["differences"]) > 1:
            continue
        table.add_row(
            name.replace("_", " "), f"{cell['value']:+.3f}", span(cell, "+.3f"), "yes" if cell["sure"] else "no"
        )
    return table
