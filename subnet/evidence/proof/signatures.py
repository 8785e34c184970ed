"""Miners' signatures in recorded rounds: what was answered, by whom, to which request. Pure.

One signature takes some 50 microseconds in a library that lets no other thread run meanwhile: give rounds to several
processes, for which everything here takes and returns plain values: rounds are read once, where they are replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from subnet.evidence.records import RoundRecord
from subnet.wire.synapse import Envelope, reply_text, signed_by

CHUNK: Final = 16  # rounds that one process checks at a time


@dataclass(frozen=True)
class Signatures:
    """What came of the answers in some rounds: `false` and `unsigned` are pairs of entry and hotkey."""

    good: int
    unsigned: tuple[tuple[int, str], ...]
    false: tuple[tuple[int, str], ...]


Answer = tuple[str, int | None, str, float, str, str, str]  # hotkey, nonce, what it was sent, and the reply's fields


def answers(played: RoundRecord) -> list[Answer]:
    """What miners are said to have answered in a round."""
    return [
        (r.hotkey, r.nonce, r.query, r.p_synthetic, r.detector or "", r.weights_hash or "", r.signature)
        for r in played.outcomes
        if r.p_synthetic is not None
    ]


def check_signatures(rounds: Sequence[tuple[int, Sequence[Answer]]], sender: str) -> Signatures:
    """Of the answers in rounds, each with its entry's number, that validator `sender` asked."""
    good = 0
    unsigned, false = list[tuple[int, str]](), list[tuple[int, str]]()
    for seq, given in rounds:
        for answer in given:
            hotkey, *_, signature = answer
            if not signature:
                unsigned.append((seq, hotkey))
            elif _signed(answer, sender):
                good += 1
            else:
                false.append((seq, hotkey))
    return Signatures(good, tuple(unsigned), tuple(false))


def _signed(answer: Answer, sender: str) -> bool:
    hotkey, nonce, query, prediction, detector, weights_hash, signature = answer
    if nonce is None:
        return False
    text = reply_text(Envelope(nonce, query, sender, hotkey), prediction, detector, weights_hash)
    return signed_by(hotkey, signature, text)
