"""What recorded rules say: how they differ from the ones before, and from this version's. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from subnet.errors import JournalBroken, SettingsError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.records import RulesRecord
from subnet.game.scoring import SMOOTHING, Smoothing

SHOWN: Final = 200  # characters of a value
CONTEXT: Final = 60  # of them before the place where another value differs
_ASIDE: Final = {"state", "protocols", "codecs", "netuid", "hotkey", "sampling"}


def summary(rules: RulesRecord) -> str:
    """One line of printable text."""
    return "rules: " + ", ".join(f"{name} {_shown(value)}" for name, value in _fields(rules).items())


def smoothing_of(entry: Entry, rules: RulesRecord) -> Smoothing:
    """How scores are smoothed under the rules of `entry`. Raises JournalBroken where they say what cannot be."""
    try:
        return Smoothing(alpha=rules.alpha, averaging=rules.averaging, headroom=rules.headroom)
    except SettingsError as error:
        raise JournalBroken(f"entry {entry.seq} has rules that this version does not know: {error}") from error


def differences(before: RulesRecord | None, rules: RulesRecord) -> Iterator[str]:
    """What is to be asked about: a change on the way, and smoothing that is not this version's."""
    if before is not None:
        said, now = _fields(before), _fields(rules)
        for name in sorted({*said, *now}):
            if said.get(name) != now.get(name):
                yield f"why the rules changed: {name} (from {_change(said.get(name), now.get(name))})"
    for name in ("alpha", "averaging", "headroom"):
        if getattr(rules, name) != getattr(SMOOTHING, name):
            yield f"other rules than this version's: {name} {getattr(rules, name)}, not {getattr(SMOOTHING, name)}"


def _fields(rules: RulesRecord) -> dict[str, Any]:
    plain = {name: value for name, value in rules.model_dump().items() if name not in _ASIDE}
    return plain | rules.sampling


def _shown(value: object) -> str:
    return json.dumps(value)[:SHOWN]


def _change(before: object, after: object) -> str:
    """Both values, cut to where they differ."""
    said, now = json.dumps(before), json.dumps(after)
    same = next((n for n, (a, b) in enumerate(zip(said, now, strict=False)) if a != b), min(len(said), len(now)))
    begin = max(0, same - CONTEXT) if max(len(said), len(now)) > SHOWN else 0
    return " to ".join("..." * (begin > 0) + text[begin : begin + SHOWN] for text in (said, now))
