"""Nonces of answers: each counts once, whatever order they come in, and none costs more than another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subnet.evidence.findings import Verdict
from subnet.evidence.nonces import Nonces
from subnet.evidence.records import OutcomeRecord, RoundRecord
from subnet.types import Label, Modality


def round_of(*nonces: int) -> RoundRecord:
    def row(nonce: int) -> OutcomeRecord:
        return OutcomeRecord.model_construct(hotkey="h", nonce=nonce)

    return RoundRecord.model_construct(
        number=0, modality=Modality.IMAGE, label=Label.REAL, outcomes=tuple(row(nonce) for nonce in nonces)
    )


@given(st.lists(st.integers(0, 40) | st.integers(2**64 - 40, 2**64 - 1), max_size=300))
def test_each_counts_once(numbers: list[int]) -> None:
    """Every repeat is false, every one that comes late is asked about, and nothing else is said."""
    nonces, before = Nonces(), set[int]()
    for seq, nonce in enumerate(numbers):
        told = [finding.verdict for finding in nonces.add(seq, round_of(nonce))]
        if nonce in before:
            assert told == [Verdict.FALSE]
        else:
            assert told == [Verdict.UNPROVEN] * (nonce < max(before, default=0))
        before.add(nonce)


def test_falling_ones_lie_in_few_runs() -> None:
    """Each of them would move all others, were they kept in one."""
    nonces, count = Nonces(), 5_000
    told = list(nonces.add(1, round_of(*range(count, 0, -1))))
    assert len(told) == count - 1
    (runs,) = nonces._runs.values()
    assert sum(map(len, runs)) == count
    assert len(runs) <= count.bit_length() + 1
