"""Opening timelocked weights.

Commits are sealed to a future round of the drand quicknet beacon (tlock, BLS12-381). Nobody can open them before the
beacon signs that round, this chain included. So it opens a commit when it has been given the round's signature:
`--beacon FILE` at start, or JSON-RPC dev_publishRound [round, signature] while it runs. Signatures are public, e.g.
https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971/public/ROUND. Without network the
commits of the SDK (always to a future round) stay sealed and expire, as they would on a public chain whose beacon is
silent: run a local network with commit-reveal off. Tests seal to a round that is long past.
"""

from __future__ import annotations

from collections.abc import Mapping

import bittensor_core

from subnet.chain.devnode.ledger.epoch import Opened
from subnet.chain.devnode.ledger.state import Commit
from subnet.chain.devnode.runtime.metadata import SS58_FORMAT, compact, read_compact


class Beacon:
    """The rounds whose signatures are known."""

    def __init__(self, signatures: Mapping[int, str] | None = None) -> None:
        self._signatures = dict(signatures or {})

    @property
    def signatures(self) -> Mapping[int, str]:
        """In hex, by round."""
        return self._signatures

    def publish(self, number: int, signature: str) -> None:
        """Make a round's signature (hex) known."""
        bytes.fromhex(signature)
        self._signatures[number] = signature

    def open(self, commit: Commit) -> Opened | None:
        """The weights in a commit, or None when its round is unknown or it is not what it should be."""
        signature = self._signatures.get(commit.reveal_round)
        if signature is None:
            return None
        sealed = compact(len(commit.data)) + commit.data + commit.reveal_round.to_bytes(8, "little")
        try:
            hotkey, opened = parse(bytes(bittensor_core.decrypt_with_signature(sealed, signature)))
        except (ValueError, IndexError, RuntimeError):
            return None
        return opened if hotkey == commit.hotkey else None


def parse(payload: bytes) -> tuple[str, Opened]:
    """SCALE (hotkey: Vec<u8>, uids: Vec<u16>, values: Vec<u16>, version_key: u64). Raises ValueError."""
    length, at = read_compact(payload)
    hotkey = payload[at : at + length]
    uids, at = _u16s(payload, at + length)
    values, at = _u16s(payload, at)
    if len(payload) != at + 8 or length != 32:
        raise ValueError("not a payload of timelocked weights")
    return str(bittensor_core.ss58_encode(hotkey, SS58_FORMAT)), (uids, values, int.from_bytes(payload[at:], "little"))


def _u16s(payload: bytes, at: int) -> tuple[list[int], int]:
    count, at = read_compact(payload, at)
    end = at + 2 * count
    if end > len(payload):
        raise ValueError(f"{count} numbers are claimed in {len(payload)} bytes")
    return [int.from_bytes(payload[i : i + 2], "little") for i in range(at, end, 2)], end
