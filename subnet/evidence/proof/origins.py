"""Whether the media of a round is what its record says: the same provenance, of the origin that was planned. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import from_json

from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.records import RoundRecord, dump_provenance
from subnet.types import Provenance

SUBSTITUTE: Final = "the planned origin: media of another one was asked, as where the pool has none of it"
_JSON: Final = TypeAdapter(dict[str, Any])


def check_origin(seq: int, played: RoundRecord, origin: str, provenance: Provenance) -> Iterator[Finding]:
    """`origin` and `provenance` are the item's own; both are a stranger's, and may hold any JSON."""
    recorded = played.provenance or {}
    try:
        own = from_json(_JSON.dump_json(dump_provenance(provenance)))
    except (TypeError, ValueError) as error:
        yield Finding(seq, f"round {played.number}: nobody can record the media's provenance: {str(error)[:80]}")
        return
    if wrong := sorted(name for name in {*own, *recorded} if own.get(name) != recorded.get(name)):
        yield Finding(seq, f"round {played.number}: {wrong[0][:80]!r} of the media's provenance is not as recorded")
    if origin != played.origin:
        yield Finding(seq, SUBSTITUTE, Verdict.UNPROVEN)
