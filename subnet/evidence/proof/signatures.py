"""Miners' signatures in recorded rounds: what was answered, by whom, to which request. Pure.

One signature takes some 50 microseconds in a library that lets no other thread run meanwhile: give rounds to several
processes, for which everything here takes and returns plain values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from subnet.wire.synapse import Envelope, reply_text, signed_by

CHUNK: Final = 16  # rounds that one process checks at a time


@dataclass(frozen=True)
class Signatures:
    """What came of the answers in some rounds: `false` and `unsigned` are pairs of entry and hotkey."""

    good: int
    failures: int
    unsigned: tuple[tuple[int, str], ...]
    false: tuple[tuple[int, str], ...]


def check_signatures(rounds: Sequence[tuple[int, str]], sender: str) -> Signatures:
    """Of rounds, each as its entry's number and body, that validator `sender` asked.

    A body that is no round counts nothing: whoever reads it says so.
    """
    good = failures = 0
    unsigned, false = list[tuple[int, str]](), list[tuple[int, str]]()
    for seq, body in rounds:
        for row in json.loads(body).get("outcomes", ()):
            if row["p_synthetic"] is None:
                failures += 1
            elif not row.get("signature"):
                unsigned.append((seq, row["hotkey"]))
            elif _signed(row, sender):
                good += 1
            else:
                false.append((seq, row["hotkey"]))
    return Signatures(good, failures, tuple(unsigned), tuple(false))


def _signed(row: dict[str, object], sender: str) -> bool:
    hotkey, prediction = str(row["hotkey"]), row["p_synthetic"]
    if not isinstance(row.get("nonce"), int) or not isinstance(prediction, int | float):
        return False
    envelope = Envelope(int(str(row["nonce"])), str(row["query"]), sender, hotkey)
    text = reply_text(envelope, float(prediction), str(row["detector"] or ""), str(row["weights_hash"] or ""))
    return signed_by(hotkey, str(row["signature"]), text)
