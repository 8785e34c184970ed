"""What can be made to go wrong on the development chain, at start or while it runs (JSON-RPC dev_setFaults)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True)
class Faults:
    """All off by default. Counters go down as they are used."""

    refuse: bool = False  # close every new connection at once
    status: int = 0  # answer every handshake with this HTTP status; 429 comes with Retry-After
    drop_after: int = 0  # close the connection after this many more requests
    drop_on_submit: int = 0  # take this many submissions, but close the connection instead of answering
    stall: bool = False  # read requests and never answer
    garbage: int = 0  # answer this many requests with a frame that is not JSON
    halt: bool = False  # make no blocks
    lose: bool = False  # answer submissions, but forget them
    finality_lag: int = 0  # blocks between the head and the finalized block
    reject: Mapping[str, str] = field(default_factory=dict)  # call name -> error name it always fails with

    def changed(self, changes: Mapping[str, Any]) -> Faults:
        """With some knobs set anew. Raises ValueError for an unknown knob or a wrong type."""
        known = {f.name: str(f.type) for f in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"no fault is called {name!r}; there are: {', '.join(sorted(known))}")
            if not _fits(known[name], value):
                raise ValueError(f"the fault {name} takes a {known[name]}, not {value!r}")
        return replace(self, **changes)


def _fits(kind: str, value: Any) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, Mapping)
