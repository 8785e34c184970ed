"""Which metagraph stood in which block, as snapshots, settings and one round of each epoch say it. Pure.

A round says nothing that the settings around it do not, unless a change was left out for a while. So one of every epoch
is taken, drawn by the hash of the block behind the commitment that ends it, which nobody knew when it was played.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from subnet.evidence.claim import MetagraphClaim
from subnet.evidence.records import CommitmentRecord
from subnet.evidence.snapshots import Roles, roles_of
from subnet.types import Neuron

MOST: Final = 4096  # rounds of one epoch that are drawn from, the last ones


class Metagraphs:
    """Follows entries; `claims` is what only the chain can prove. Those that say the same share it."""

    def __init__(self) -> None:
        self.claims: list[MetagraphClaim] = []
        self._rounds: deque[tuple[int, int, tuple[Neuron, ...], float]] = deque(maxlen=MOST)
        self._roles: Roles = {}
        self._neurons: tuple[Neuron, ...] | None = None  # those that have these roles, by this limit
        self._limit = 0.0

    def claim(self, seq: int, block: int, neurons: tuple[Neuron, ...], limit: float) -> None:
        """Entry `seq` uses these neurons as those of `block`; from `limit` TAO on they are validators."""
        if neurons is self._neurons and limit == self._limit:
            self.claims.append(MetagraphClaim(seq, block, self._roles, limit, moved=False))
            return
        self._neurons, self._limit = neurons, limit
        roles = roles_of(neurons, limit)
        moved = bool(self.claims) and roles != self._roles
        self._roles = roles if moved or not self.claims else self._roles
        self.claims.append(MetagraphClaim(seq, block, self._roles, limit, moved))

    def play(self, seq: int, block: int, neurons: tuple[Neuron, ...], limit: float) -> None:
        """A round, which may be drawn."""
        self._rounds.append((seq, block, neurons, limit))

    def commit(self, record: CommitmentRecord) -> None:
        """Draw one of the rounds that a commitment binds."""
        bound = [played for played in self._rounds if played[0] <= record.seq]
        for _ in bound:
            self._rounds.popleft()
        if bound and record.block_hash:
            seq, block, neurons, limit = bound[int(record.block_hash, 16) % len(bound)]
            self.claims.append(MetagraphClaim(seq, block, roles_of(neurons, limit), limit, moved=False))
