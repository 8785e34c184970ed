"""What each miner was sent, made again from the media and the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.records import RoundRecord
from subnet.game.variant import variant
from subnet.types import Challenge, Sample
from subnet.wire.synapse import digest_of


def check_variants(seq: int, played: RoundRecord, sample: Sample, original: Sample | None = None) -> Iterator[Finding]:
    """Compare the hash of every variant with the recorded one. Only codecs of the same versions give the same.

    `original` is what a synthetic `sample` was made from, which a half of a twin round was asked.
    """
    if (sample.modality, sample.label) != (played.modality, played.label):
        kind, due = f"{sample.label.name.lower()} {sample.modality}", f"{played.label.name.lower()} {played.modality}"
        yield Finding(seq, f"round {played.number}: the media is a {kind}, the round asked for a {due}")
        return
    asked = {sample.label: sample} | ({original.label: original} if original else {})
    if lacking := [row.hotkey for row in played.outcomes if row.truth(played.label) not in asked]:
        text = f"what was sent: the original behind the media of round {played.number} is not here"
        yield Finding(seq, f"{text}, which {len(lacking)} are said to have been asked", Verdict.UNPROVEN)
    wrong = [
        row.hotkey
        for row in played.outcomes
        if (media := asked.get(row.truth(played.label))) is not None
        and digest_of(variant(Challenge("", media, played.seed, played.level), row.hotkey).body) != row.query
    ]
    if wrong:
        yield Finding(seq, f"round {played.number}: {len(wrong)} were sent another variant, first {wrong[0]}")
