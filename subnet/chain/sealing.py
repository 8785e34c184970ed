"""Weights sealed to a round of the drand beacon (quicknet, tlock), as the chain opens them.

The SDK seals to a round to come, whose signature a local network without internet never gets. So there they are sealed
to a round that is long past: hidden from nobody who looks it up, but the same bytes, transaction and opening.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import bittensor_core

from subnet.chain.devnode.runtime.metadata import compact

PAST_ROUND: Final = 1000
PAST_SIGNATURE: Final = (  # quicknet's of that round, public since 2023
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
)


def sealed(public_key: bytes, rows: Mapping[int, int], version_key: int, beacon_round: int) -> bytes:
    """The u16 weights of the hotkey with `public_key`, by uid, as `commit_timelocked_weights` takes them."""
    uids, values = _u16s(list(rows)), _u16s(list(rows.values()))
    payload = compact(len(public_key)) + public_key + uids + values + version_key.to_bytes(8, "little")
    wrapped, _ = bittensor_core.encrypt_at_round(payload, beacon_round)
    return bytes(wrapped[2 : 2 + (int.from_bytes(wrapped[:2], "little") >> 2)])  # behind its length; the round follows


def _u16s(numbers: list[int]) -> bytes:
    return compact(len(numbers)) + b"".join(number.to_bytes(2, "little") for number in numbers)
