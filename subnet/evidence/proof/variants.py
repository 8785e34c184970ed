"""What each miner was sent, made again from the media and the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from subnet.evidence.findings import Finding
from subnet.evidence.records import RoundRecord
from subnet.game.variant import variant
from subnet.types import Challenge, Sample
from subnet.wire.synapse import digest_of


def check_variants(seq: int, played: RoundRecord, sample: Sample) -> Iterator[Finding]:
    """Compare the hash of every variant with the recorded one. Only codecs of the same versions give the same."""
    if (sample.modality, sample.label) != (played.modality, played.label):
        kind, due = f"{sample.label.name.lower()} {sample.modality}", f"{played.label.name.lower()} {played.modality}"
        yield Finding(seq, f"round {played.number}: the media is a {kind}, the round asked for a {due}")
        return
    challenge = Challenge("", sample, played.seed, played.level)
    wrong = [row.hotkey for row in played.outcomes if digest_of(variant(challenge, row.hotkey).body) != row.query]
    if wrong:
        yield Finding(seq, f"round {played.number}: {len(wrong)} were sent another variant, first {wrong[0]}")
