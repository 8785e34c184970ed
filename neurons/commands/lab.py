"""`assay lab`: strategies play against the real rules, and what they earn is measured."""

from __future__ import annotations

import json as jsonlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

from neurons import settings as s
from neurons.progress import bar
from neurons.terminal import terminal
from subnet.errors import SettingsError

if TYPE_CHECKING:
    from neurons.lab.findings import Findings

Flag = Annotated[bool, Parameter(negative="")]


def lab(
    *,
    rules: Path | None = None,
    strategies: tuple[str, ...] = (),
    seed: int = 0,
    quick: Flag = False,
    out: Path = Path("runs/lab"),
    page: Path | None = None,
    jobs: int | None = None,
    json: s.Json = False,
) -> None:
    """Play honest miners, tricks and cheating validators against the rules, and report who earns what.

    Parameters
    ----------
    rules
        TOML file with what differs from the rules as they are, such as `averaging = 0`.
    strategies
        Names of tricks to play beside the honest ones; all by default.
    seed
        Same seed and rules: same numbers.
    quick
        Fewer rounds and seeds, without the frontier: within two minutes on two cores.
    out
        Folder for report.json, sections.json, index.html and the pictures.
    page
        Markdown file whose section between the marks of `assay lab` is written anew, pictures beside it.
    jobs
        Processes to play in; by default one per core. The numbers do not hang on it.
    """
    from neurons.lab.experiments import FULL, QUICK
    from neurons.lab.findings import chosen, experiment, to_json
    from neurons.lab.pictures import draw
    from neurons.lab.report import write, write_page
    from neurons.lab.rules import read_rules

    if seed < 0:
        raise SettingsError(f"--seed must be 0 or more, not {seed}")
    played = read_rules(rules)
    if jobs is not None and jobs < 1:
        raise SettingsError(f"--jobs must be at least 1, not {jobs}")
    chosen(strategies)
    cores = jobs or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else jobs or os.cpu_count() or 1
    with bar("laboratory", 100) as percent:
        extent = QUICK if quick else FULL
        found = experiment(played, strategies, extent, seed, cores, lambda done, all_: percent(100 * done // all_))
    pictures = draw(found)
    index = write(found, out.expanduser(), pictures)
    if page is not None:
        write_page(found, page, pictures)
    if json:
        print(jsonlib.dumps(to_json(found)))
        return
    _tell(found)
    print(f"report: {index}")


def _tell(found: Findings) -> None:
    miners = found.rules.miners
    table = Table("strategy", "keys", "share", "5 % to 95 %", "gain", "", box=None)
    for line in sorted(found.lines, key=lambda line: (line.kind, -line.share)):
        times = 1 if line.kind == "validator" else miners
        gain = "" if line.gain is None else f"{line.gain.factor:.2f} of {line.beside}"
        pays = "pays" if line.gain and line.gain.pays else ""
        spread = f"{line.low * times:.2f} to {line.high * times:.2f}"
        table.add_row(line.name, str(line.keys), f"{line.share * times:.2f}", spread, gain, pays)
    terminal().print(table)
    pairs = found.pairs
    print(f"order by skill: {'yes' if found.ordered else 'NO'}; Gini {found.gini:.3f}")
    print(f"a newcomer stands after {pairs.rounds_to_rank} rounds")
    print(f".90 and .93 in order after {pairs.rounds_to_order} rounds, {pairs.chain_rounds_to_order} on chain")
