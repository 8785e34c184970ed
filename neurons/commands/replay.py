"""`assay replay`: compute all scores again from a journal."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path

from rich.console import Console
from rich.table import Table

from neurons.settings import Json
from subnet.errors import SettingsError
from subnet.evidence.journal import Journal
from subnet.evidence.records import replay as recompute


def replay(journal: Path, *, json: Json = False) -> None:
    """Check the hash chain of a journal and compute every score in it again, to the last bit.

    Parameters
    ----------
    journal
        The file journal.db of a validator that is not running.
    """
    if not journal.is_file():
        raise SettingsError(f"{journal} is not a file; give a validator's journal.db")
    opened = Journal(journal)
    try:
        result = recompute(opened.entries())
        tip, length = opened.tip, opened.length
    finally:
        opened.close()
    scores = {hotkey: standing.score for hotkey, standing in sorted(result.history.standings.items())}
    if json:
        facts = {"entries": length, "tip": tip, "rounds": result.rounds, "void_rounds": result.void}
        print(jsonlib.dumps({**facts, "weights": result.weights, "scores": scores}))
        return
    table = Table("hotkey", "score", box=None, title=f"{result.rounds} rounds replayed, every score confirmed")
    for hotkey, value in sorted(scores.items(), key=lambda pair: -pair[1]):
        table.add_row(hotkey, f"{value:.6f}")
    Console().print(table, f"tip {tip}")
