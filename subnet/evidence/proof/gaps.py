"""Epochs that a journal itself leaves out, since it went on from an older copy of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from subnet.evidence.claim import CommitmentClaim, WeightsClaim
from subnet.evidence.findings import Finding, Verdict, unproven
from subnet.evidence.planning import left_out


def left_out_between(
    commitments: Sequence[CommitmentClaim], settings: Sequence[WeightsClaim]
) -> tuple[dict[int, str], dict[int, str]]:
    """The last settings before epochs that the journal itself leaves out, and the first behind them, by entry.

    Each with what is said of those epochs.
    """
    last, first = dict[int, str](), dict[int, str]()
    for before, after in pairwise(commitments):
        if after.record.epoch > before.record.epoch + 1:
            said = left_out(before.record.epoch, after.record.epoch)
            last[max((one.seq for one in settings if one.seq < after.seq), default=0)] = said
            first[min((one.seq for one in settings if one.seq > after.seq), default=0)] = said
    return last, first


def excused(settings: Mapping[int, str], findings: Iterable[Finding]) -> Iterator[Finding]:
    """What is said of `settings` beside a gap hangs on what is not told: not proven, and not false."""
    for finding in findings:
        beside = finding.verdict is Verdict.FALSE and finding.seq in settings
        yield unproven(finding.seq, f"weights on chain: {settings[finding.seq]}") if beside else finding
