"""`assay explain`: why a miner earns what it earns."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from neurons.naming import literal, names_of
from neurons.settings import Json
from neurons.terminal import terminal
from subnet.errors import SettingsError
from subnet.printing import counted
from subnet.types import Modality

if TYPE_CHECKING:
    from subnet.evidence.explain import Account, Turn


def explain(
    hotkey: str,
    journal: Path,
    *,
    last: int = 10,
    segments: Path | None = None,
    names: Path | None = None,
    json: Json = False,
) -> None:
    """Tell from a validator's journal what HOTKEY was asked, what it answered, and how its score came about.

    Parameters
    ----------
    hotkey
        Its address, the first letters of it, or its name.
    journal
        The file journal.db of a validator, running or not; nothing is written to it.
    last
        How many of the latest rounds to show.
    segments
        Folder of the journal's finished parts; by default the one beside it.
    names
        Names to show beside hotkeys: a folder of wallets, or a JSON file {hotkey: name}.
    """
    from neurons.commands.evidence.journal import open_journal
    from subnet.evidence.explain import account

    if not hotkey.strip():
        raise SettingsError("HOTKEY: name one, by its address, the first letters of it, or its name")
    if last < 0:
        raise SettingsError(f"--last must not be negative, not {last}")
    called = names_of(names, journal)
    wanted = next((address for address, name in called.items() if name == hotkey), hotkey)
    with open_journal(journal, segments) as reader:
        found = account(reader.entries(), wanted)
    turns = found.turns[-last:] if last else ()
    if json:
        tallies = {
            key: {kind: {**asdict(tally), "share": tally.share} for kind, tally in kinds.items()}
            for key, kinds in found.by.items()
        }
        score = found.score
        facts: dict[str, object] = {"hotkey": score.hotkey, "name": called.get(score.hotkey), "score": score.value}
        facts |= {"share": found.share, "rank": found.rank}
        facts |= {"miners": found.miners, "asked": score.asked, "answered": score.answered}
        facts |= {"failures": {failure.value: count for failure, count in score.failures.items()}}
        facts |= {"windows": {modality.value: asdict(part) for modality, part in score.parts.items()}}
        facts |= {
            "clusters": found.likeness.clusters,
            "cluster": found.cluster,
            "links": [asdict(link) for link in found.links],
        }
        facts |= {"false_discovery_rate": found.likeness.rate, "pairs_compared": found.likeness.pairs}
        facts |= {"clusters": found.likeness.clusters, "pay": asdict(found.pay)}
        facts |= {"canaries": asdict(found.canaries) if found.canaries else None}
        print(jsonlib.dumps({**facts, "by": tallies, "rounds": [asdict(turn) for turn in turns]}))
        return
    console = terminal()
    _tell(found, called.get(found.score.hotkey, ""), turns, console)
    _tell_pay(found, called, console)
    _tell_likeness(found, called, console)
    _tell_canaries(found, console)


def _tell(found: Account, name: str, turns: tuple[Turn, ...], console: Console) -> None:
    from subnet.game.history import ACCURACY_WINDOW, MCC_WINDOW

    score = found.score
    console.print(f"[bold]{literal(score.hotkey)}[/] {literal(name)}".rstrip())
    console.print(
        f"score {score.value:.4f}, place {found.rank} of {found.miners}, {found.share:.1%} of all scores; "
        f"answered {score.answered} of {score.asked}",
        highlight=False,
    )
    for failure, count in sorted(score.failures.items(), key=lambda pair: -pair[1]):
        console.print(f"  [red]{failure.value}[/] {count} times: each a wrong answer, and nothing earned that round")
    table = Table("", "accuracy", "MCC", "reward", "asked", box=None)
    for modality in Modality:
        part = score.parts[modality]
        numbers = (f"{part.accuracy:.2f}", f"{part.mcc:.2f}", f"{part.reward:.3f}", str(part.asked))
        table.add_row(f"{modality}s", *(numbers if part.asked else ("", "", "", "0")))
    console.print(table, f"[dim]accuracy over the last {ACCURACY_WINDOW}, MCC over the last {MCC_WINDOW}[/]\n")
    for key, kinds in found.by.items():
        table = Table(key, "right", "asked", "share", "", box=None, show_edge=False)
        for kind, tally in kinds.items():
            failed = f"[red]{tally.failed} failed[/]" if tally.failed else ""
            table.add_row(literal(kind), str(tally.right), str(tally.asked), f"{tally.share:.2f}", failed)
        console.print(table, "")
    if turns:
        table = Table("round", "asked", "answer", "", "score after", box=None)
        for turn in turns:
            asked = f"{turn.modality}, {turn.label}, {turn.origin}, level {turn.level}"
            answer = turn.answer if isinstance(turn.answer, str) else f"{turn.answer:.3f}"
            table.add_row(
                str(turn.number),
                literal(asked),
                answer,
                "[green]right[/]" if turn.right else "[red]wrong[/]",
                f"{turn.score:.4f}",
            )
        console.print(table)


def _tell_pay(found: Account, called: Mapping[str, str], console: Console) -> None:
    """From rewards to the weight."""
    pay, score = found.pay, found.score.value
    console.print(
        f"\nreward now {pay.reward:.4f}; the score, {score:.4f}, began at zero: each answer moves it {pay.alpha:.0%} "
        "of the way to the reward of that moment, a failure to 0",
        highlight=False,
    )
    if pay.bound is None:
        console.print(f"paid {pay.paid:.4f}, which is the score", highlight=False)
    else:
        which = "average" if pay.paid == pay.average else "bound"
        bound = f"{pay.bound / score:g} times the score" if score else "nothing without a score"
        console.print(
            f"paid {pay.paid:.4f}, the {which}: {pay.average:.4f} on average over all its answers, "
            f"and at most {pay.bound:.4f}, {bound}",
            highlight=False,
        )
    if pay.weight is None:
        console.print("no weights were set yet", highlight=False)
        return
    console.print(
        f"weight {pay.weight:.6f} of 1 in the last setting that the chain took, block {pay.block}", highlight=False
    )
    if others := [literal(called.get(name, name)) for name in pay.sharing if name != found.score.hotkey]:
        console.print(f"  one place, shared with {', '.join(others)}: they answer alike", highlight=False)


def _tell_likeness(found: Account, called: Mapping[str, str], console: Console) -> None:
    """Who answers like this miner, or that nobody was found to."""
    from subnet.game.likeness import LEAST_SHARED

    groups = found.likeness.clusters
    console.print(
        f"\n{counted(sum(map(len, groups)), 'miner')} answering alike, in {counted(len(groups), 'cluster')}",
        highlight=False,
    )
    me, rate = found.score.hotkey, f"{found.likeness.rate:.0%} of such links are expected to be wrong"
    partners = found.likeness.partners.get(me, 0)
    if not partners:
        console.print(
            f"Not compared yet: that takes {LEAST_SHARED} items that both it and another answered.", highlight=False
        )
        return
    if not found.links:
        console.print(
            f"Nobody answers like it, of {counted(partners, 'miner')} compared with it; {rate}.", highlight=False
        )
        return
    others = len(found.cluster) - 1
    console.print(f"[yellow]Answers like {counted(others, 'other')}[/]; {rate}:", highlight=False)
    table = Table("", "shared", "correlation", "common errors", "expected", "p", box=None)
    for link in found.links:
        other = link.second if link.first == me else link.first
        correlation = "" if link.correlation is None else f"{link.correlation:.3f}"
        numbers = (str(link.shared), correlation, str(link.errors), f"{link.expected:.1f}", f"{link.p_value:.1e}")
        table.add_row(literal(called.get(other, other)), *numbers)
    console.print(
        table, "[dim]One model behind several hotkeys, a relay, or honest miners with one public detector.[/]"
    )


def _tell_canaries(found: Account, console: Console) -> None:
    """Memory or judgement: public media against fresh ones."""
    if (gap := found.canaries) is None:
        return
    console.print(
        f"\nOn public media {gap.public.share:.3f} right of {gap.public.asked}, on fresh ones of the same kinds "
        f"{gap.fresh.share:.3f} of {gap.fresh.asked}: {gap.difference:+.3f} within a kind, "
        f"95 % interval {gap.low:+.3f} to {gap.high:+.3f}.",
        highlight=False,
    )
