"""Which items were asked: each once of a hotkey, and under one label. Pure.

A validator draws an item once and deletes it. One that goes on asking the same can tell a friend the answers.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Final

from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.records import RoundRecord

NAMED: Final = 10  # hotkeys
_CONTENT: Final = re.compile(r"[0-9a-f]{32}")  # of the sha256 of the stored media, as the pool names its items
_Kind = tuple[int, str, str]  # the first entry that asked an item, its label, its modality


class Items:
    """Follows rounds. An item is 16 bytes, each hotkey that was asked it four."""

    def __init__(self) -> None:
        self._kinds: dict[bytes, _Kind] = {}
        self._asked: dict[bytes, array[int]] = {}
        self._numbers: dict[str, int] = {}  # of hotkeys
        self._again, self._rows = Counter[str](), Counter[str]()

    def add(self, seq: int, played: RoundRecord) -> Iterator[Finding]:
        """One round, behind rules: schemas 1 and 2 named no items."""
        if not played.outcomes:
            return  # what could not be sent was asked of nobody
        if not _CONTENT.fullmatch(played.item):
            yield Finding(seq, f"round {played.number} asked something, but names no item")
            return
        if not {"source", "item"} <= (played.provenance or {}).keys():
            yield Finding(seq, f"round {played.number} asked something, but does not say where it is from")
        item = bytes.fromhex(played.item)
        label = played.label.name.lower()
        first, said, modality = self._kinds.setdefault(item, (seq, label, str(played.modality)))
        if (said, modality) != (label, str(played.modality)):
            kinds = f"a {said} {modality} in entry {first}, a {label} {played.modality} in entry {seq}"
            yield Finding(seq, f"item {played.item} is {kinds}")
        hotkeys = {row.hotkey for row in played.outcomes}
        before = self._asked.setdefault(item, array("I"))
        numbers = {self._numbers.setdefault(hotkey, len(self._numbers)): hotkey for hotkey in sorted(hotkeys)}
        again = numbers.keys() & set(before)
        before.extend(numbers.keys() - again)
        self._rows.update(hotkeys)
        self._again.update(numbers[number] for number in again)
        if again:
            yield Finding(seq, "that items were new: some were asked again of the same hotkeys", Verdict.UNPROVEN)

    def findings(self) -> Iterator[Finding]:
        """Whom the same items were asked again, most first; nothing where that never was."""
        if self._again:
            most = sorted(self._again.items(), key=lambda pair: (-pair[1], pair[0]))[:NAMED]
            named = ", ".join(f"{hotkey} {count:,} of {self._rows[hotkey]:,}" for hotkey, count in most)
            total, rows = self._again.total(), self._rows.total()
            text = f"that items were new: asked the same item again in {total:,} of {rows:,} rows; most {named}"
            yield Finding(0, text, Verdict.UNPROVEN)
