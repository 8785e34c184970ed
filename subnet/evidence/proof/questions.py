"""What a node is asked about evidence: each thing once, nothing beyond its head, no more than anybody can wait for.

Claims are whatever somebody wrote into a file. A block that is not there, or an old state that a node does not keep,
costs it seconds and a new connection, so that after `ENOUGH` of them nothing older of that kind is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from subnet.errors import ChainError
from subnet.protocols import Chain
from subnet.types import Snapshot, Statement

MOST: Final = 20_000  # questions of a kind about one publication: a year of epochs of 72 minutes takes 15,000
ENOUGH: Final = 2  # blocks without a state, after which older ones are not asked for


@dataclass(frozen=True)
class Tenure:
    """A hotkey's uid, and the block since which it has it: weights of before are somebody else's, or were wiped out."""

    uid: int
    since: int


class Questions:
    """A node that is asked for old states. Every method raises ChainError for what it does not tell."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._known: dict[tuple[object, ...], Any] = {}
        self._untold: dict[str, list[int]] = {}  # blocks by what was asked
        self._tenures: dict[str, dict[Tenure, int]] = {}  # by hotkey, each with the last block in which it is known
        self._now: Snapshot | None = None
        self.counts, self.head = Counter[str](), 0

    async def begin(self) -> Snapshot:
        """The subnet as it stands now; `head` is its block from then on."""
        self._now = await self._chain.snapshot()
        self.head = self._now.block
        return self._now

    @property
    def exhausted(self) -> bool:
        """Whether there was more to ask."""
        return any(count > MOST for count in self.counts.values())

    async def snapshot(self, at: int) -> Snapshot:
        """The subnet as it stood in block `at`."""
        known: Snapshot = await self._told("snapshot", at, partial(self._chain.snapshot, at=at))
        return known

    async def tenure(self, hotkey: str, at: int | None) -> Tenure | None:
        """What `hotkey` held in block `at`, or holds now; None where it was not registered."""
        block, tenures = self.head if at is None else at, self._tenures.setdefault(hotkey, {})
        for then, ask in ((self.head, self._begun), (block, partial(self.snapshot, block))):
            if me := (await ask()).neuron(hotkey):
                tenure = Tenure(me.uid, me.registered_at)
                tenures[tenure] = max(then, tenures.get(tenure, 0))
            if known := next((t for t, held in tenures.items() if t.since <= block <= held), None):
                return known
        return None

    async def _begun(self) -> Snapshot:
        return self._now or await self.begin()

    async def weights(self, uid: int, at: int | None) -> dict[int, int]:
        """The weights of `uid` as they stood in block `at`, or stand now."""
        ask = partial(self._chain.weights, uid, at=at)
        known: dict[int, int] = await self._told("weights", self.head if at is None else at, ask, uid)
        return known

    async def commitment(self, hotkey: str, at: int) -> Statement | None:
        """What `hotkey` had committed in block `at`."""
        known: Statement | None = await self._told("commitment", at, partial(self._chain.commitment, hotkey, at=at))
        return known

    async def block_hash(self, block: int) -> str | None:
        """None for one that the node does not tell."""
        try:
            known: str | None = await self._told("hash", block, partial(self._chain.block_hash, block))
        except ChainError:
            return None
        return known

    async def _told(self, kind: str, block: int, ask: Callable[[], Awaitable[Any]], *more: object) -> Any:
        key = (kind, block, *more)
        if key not in self._known:
            self._known[key] = await self._ask(kind, block, ask)
        if isinstance(self._known[key], ChainError):
            raise self._known[key]
        return self._known[key]

    async def _ask(self, kind: str, block: int, ask: Callable[[], Awaitable[Any]]) -> Any:
        untold = sorted(self._untold.setdefault(kind, []))
        if not 0 <= block <= self.head:
            return ChainError(f"there is no block {block}; the head is {self.head}")
        if len(untold) >= ENOUGH and block <= untold[-ENOUGH]:
            return ChainError(f"the node keeps no state of block {untold[-1]}, so block {block} was not asked for")
        self.counts[kind] += 1
        if self.counts[kind] > MOST:
            return ChainError(f"{MOST:,} questions were asked")
        try:
            return await ask()
        except ChainError as error:
            self._untold[kind].append(block)
            return error
