"""What each miner was sent, made again from the media and the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.records import RoundRecord
from subnet.game.variant import variant
from subnet.types import Challenge, Sample
from subnet.wire.synapse import digest_of


def check_variants(seq: int, played: RoundRecord, sample: Sample, twin: Sample | None = None) -> Iterator[Finding]:
    """Compare the hash of every variant with the recorded one. Only codecs of the same versions give the same.

    In a twin round some were asked `twin`, the real sample behind `sample`; without it theirs stay unproven.
    """
    if (sample.modality, sample.label) != (played.modality, played.label):
        kind, due = f"{sample.label.name.lower()} {sample.modality}", f"{played.label.name.lower()} {played.modality}"
        yield Finding(seq, f"round {played.number}: the media is a {kind}, the round asked for a {due}")
        return
    wrong, unknown = [], 0
    for row in played.outcomes:
        asked = sample if row.truth(played.label) is sample.label else twin
        if asked is None:
            unknown += 1
        elif digest_of(variant(Challenge("", asked, played.seed, played.level), row.hotkey).body) != row.query:
            wrong.append(row.hotkey)
    if wrong:
        yield Finding(seq, f"round {played.number}: {len(wrong)} were sent another variant, first {wrong[0]}")
    if unknown:
        yield Finding(seq, "what was sent: the originals of twins are not here", Verdict.UNPROVEN)
