"""Who is said to have failed, how often, beside everybody: nobody signs that it gave no answer. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.records import RoundRecord

NAMED: Final = 10  # hotkeys


class Failures:
    """Counts over rounds. Void ones count for nobody, and so not here."""

    def __init__(self) -> None:
        self._rounds = self._failing = 0
        self._asked, self._failed = Counter[str](), Counter[str]()

    def add(self, played: RoundRecord) -> None:
        """One round."""
        if played.void:
            return
        failed = [row.hotkey for row in played.outcomes if row.p_synthetic is None]
        self._rounds, self._failing = self._rounds + 1, self._failing + bool(failed)
        self._asked.update(row.hotkey for row in played.outcomes)
        self._failed.update(failed)

    def findings(self) -> Iterator[Finding]:
        """One where there are failures. A validator that failed a rival shows by who comes first."""
        failed, asked = self._failed.total(), self._asked.total()
        if not failed:
            return
        most = sorted(self._failed.items(), key=lambda pair: (-pair[1], pair[0]))[:NAMED]
        named = ", ".join(f"{hotkey} {count:,} of {self._asked[hotkey]:,}" for hotkey, count in most)
        shares = f"{failed:,} of {asked:,} rows ({failed / asked:.1%}), in {self._failing:,} of {self._rounds:,} rounds"
        text = f"failures: nobody signs that a miner gave no answer; {shares}; most by {named}"
        yield Finding(0, text, Verdict.UNPROVEN)
