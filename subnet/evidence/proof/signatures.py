"""Miners' signatures in recorded rounds: what was answered, by whom, to which request. Pure.

One signature takes some 50 microseconds in a library that lets no other thread run meanwhile: give rounds to several
processes, for which everything here takes and returns plain values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from subnet.errors import JournalBroken
from subnet.evidence.entries.entry import Entry
from subnet.evidence.records import ROUND, OutcomeRecord, RoundRecord, read_record
from subnet.wire.synapse import Envelope, reply_text, signed_by

CHUNK: Final = 16  # rounds that one process checks at a time


@dataclass(frozen=True)
class Signatures:
    """What came of the answers in some rounds: `false` and `unsigned` are pairs of entry and hotkey."""

    good: int
    unsigned: tuple[tuple[int, str], ...]
    false: tuple[tuple[int, str], ...]


def check_signatures(rounds: Sequence[tuple[int, str]], sender: str) -> Signatures:
    """Of rounds, each as its entry's number and body, that validator `sender` asked.

    A body that is no round counts nothing: whoever reads it says so.
    """
    good = 0
    unsigned, false = list[tuple[int, str]](), list[tuple[int, str]]()
    for seq, body in rounds:
        for row in _rows(seq, body):
            if row.p_synthetic is None:
                continue
            if not row.signature:
                unsigned.append((seq, row.hotkey))
            elif _signed(row, row.p_synthetic, sender):
                good += 1
            else:
                false.append((seq, row.hotkey))
    return Signatures(good, tuple(unsigned), tuple(false))


def _rows(seq: int, body: str) -> tuple[OutcomeRecord, ...]:
    try:
        return read_record(RoundRecord, Entry(seq, ROUND, body, "")).outcomes
    except JournalBroken:
        return ()


def _signed(row: OutcomeRecord, prediction: float, sender: str) -> bool:
    if row.nonce is None:
        return False
    envelope = Envelope(row.nonce, row.query, sender, row.hotkey)
    return signed_by(
        row.hotkey, row.signature, reply_text(envelope, prediction, row.detector or "", row.weights_hash or "")
    )
