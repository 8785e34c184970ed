"""Blocks: a pool of transactions, block production, and the state at every recent block."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from subnet.chain.devnode.ledger.epoch import on_block
from subnet.chain.devnode.ledger.genesis import Genesis
from subnet.chain.devnode.ledger.state import Refused, initial
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.node.store import Saved
from subnet.chain.devnode.runtime.block import Block
from subnet.chain.devnode.runtime.extrinsics import (
    Extrinsic,
    InvalidTransaction,
    UnsupportedCall,
    blake2,
    carried,
    decode,
    dispatch,
    events,
)
from subnet.chain.devnode.runtime.metadata import Metadata
from subnet.chain.devnode.runtime.reveal import Beacon

KEPT: Final = 4096  # blocks whose state can still be read


class StateDiscarded(Exception):
    """The block is older than the state that is kept, as on a node that prunes."""


class UnknownBlock(Exception):
    """No block has this hash."""


class DevChain:
    """The chain without its wire. `clock` gives unix seconds and stamps the blocks."""

    def __init__(
        self, genesis: Genesis, metadata: Metadata, clock: Callable[[], float], saved: Saved | None = None
    ) -> None:
        self.genesis = genesis
        self.metadata = metadata
        self.faults = Faults()
        self.beacon = Beacon(saved.beacon if saved else {})
        self._clock = clock
        self._hashes: list[bytes] = [blake2(genesis.to_json().encode())]
        for number in range(1, saved.number + 1 if saved else 1):
            self._hashes.append(_hash(self._hashes[-1], number))
        self._numbers = {"0x" + digest.hex(): number for number, digest in enumerate(self._hashes)}
        first = self._first() if saved is None else self._restored(saved)
        self._born = first.milliseconds if saved is None else saved.milliseconds[0]
        self._oldest = first.number  # older blocks have no state here
        self._blocks: dict[int, Block] = {first.number: first}
        self._pool: dict[str, Extrinsic] = {}

    def _first(self) -> Block:
        stamp = int(self._clock() * 1000)
        return Block(0, self._hashes[0], bytes(32), initial(self.genesis), milliseconds=stamp)

    def _restored(self, saved: Saved) -> Block:
        """The head that was saved, without its transactions."""
        parent = self._hashes[saved.number - 1] if saved.number else bytes(32)
        digest, stamp = self._hashes[saved.number], saved.milliseconds[1]
        return Block(saved.number, digest, parent, saved.state, nonces=saved.nonces, milliseconds=stamp)

    def saved(self) -> Saved:
        """What is to be kept of the chain as it is now."""
        head = self.head
        stamps = (self._born, head.milliseconds)
        return Saved(self.genesis, head.number, head.state, head.nonces, stamps, self.beacon.signatures)

    @property
    def head(self) -> Block:
        return self._blocks[len(self._hashes) - 1]

    @property
    def finalized(self) -> Block:
        return self._blocks[max(self._oldest, self.head.number - self.faults.finality_lag)]

    @property
    def waiting(self) -> bool:
        """Whether a transaction waits in the pool."""
        return bool(self._pool)

    def hash_of(self, number: int) -> bytes | None:
        """The hash of a block by number, or None when it is not there yet."""
        return self._hashes[number] if 0 <= number < len(self._hashes) else None

    def block(self, hash_hex: str | None) -> Block:
        """The block with a hash, or the head. Raises UnknownBlock or StateDiscarded."""
        if hash_hex is None:
            return self.head
        number = self._numbers.get(hash_hex)
        if number is None:
            raise UnknownBlock(hash_hex)
        if number not in self._blocks:
            raise StateDiscarded(hash_hex)
        return self._blocks[number]

    def next_nonce(self, address: str) -> int:
        """The account's nonce counting what waits in the pool."""
        nonce = self.head.nonces.get(address, 0)
        waiting = {extrinsic.nonce for extrinsic in self._pool.values() if extrinsic.signer == address}
        while nonce in waiting:
            nonce += 1
        return nonce

    def submit(self, raw: bytes) -> Extrinsic:
        """Take a transaction into the pool. Raises InvalidTransaction, and UnsupportedCall of what it carries, too."""
        extrinsic = self._decoded(raw)
        self._refuse_unsupported(carried(extrinsic))
        if extrinsic.hash in self._pool:
            raise InvalidTransaction("Transaction is already imported")
        if extrinsic.nonce < self.next_nonce(extrinsic.signer):
            raise InvalidTransaction("Transaction is outdated")
        if not self.faults.lose:
            self._pool[extrinsic.hash] = extrinsic
        return extrinsic

    def produce(self) -> Block:
        """Make the next block: epochs and reveals first, then the transactions whose nonce is due."""
        parent = self.head
        number = parent.number + 1
        state = on_block(parent.state, number, self.beacon.open)
        nonces = dict(parent.nonces)
        included: list[Extrinsic] = []
        outcomes: list[str | None] = []
        ready = deque(self._ready(nonces, number))
        while ready:
            extrinsic = ready.popleft()
            ready.extendleft(self._carried(extrinsic, nonces))
            try:
                state = dispatch(state, extrinsic, number, self.faults.reject)
                outcomes.append(None)
            except Refused as refused:
                outcomes.append(refused.name)
            included.append(extrinsic)
        block = Block(
            number=number,
            hash=_hash(parent.hash, number),
            parent=parent.hash,
            state=state,
            nonces=nonces,
            extrinsics=tuple(included),
            outcomes=tuple(outcomes),
            events=events(self.metadata, outcomes),
            milliseconds=int(self._clock() * 1000),
        )
        self._append(block)
        return block

    def _ready(self, nonces: dict[str, int], block: int) -> list[Extrinsic]:
        """Transactions to include now, in nonce order; counts up `nonces`. Those after a gap keep waiting."""
        ready = []
        for extrinsic in sorted(self._pool.values(), key=lambda waiting: waiting.nonce):
            expected = nonces.get(extrinsic.signer, 0)
            alive = extrinsic.dies is None or block < extrinsic.dies
            if extrinsic.nonce <= expected or not alive:
                del self._pool[extrinsic.hash]
            if extrinsic.nonce == expected and alive:
                nonces[extrinsic.signer] = expected + 1
                ready.append(extrinsic)
        return ready

    def _decoded(self, raw: bytes) -> Extrinsic:
        return decode(self.metadata, raw, current=self.head.number, hash_of=self.hash_of)

    def _refuse_unsupported(self, raw: bytes | None) -> None:
        """Tell at once what would else be lost in silence with the block."""
        try:
            if raw is not None:
                self._decoded(raw)
        except UnsupportedCall:
            raise
        except InvalidTransaction:
            pass  # shows in the block

    def _carried(self, carrier: Extrinsic, nonces: dict[str, int]) -> list[Extrinsic]:
        """The transaction that an encrypted one carries, if it is valid and its nonce is due; counts up `nonces`."""
        raw = carried(carrier)
        if raw is None:
            return []
        try:
            inner = self._decoded(raw)
        except InvalidTransaction:
            return []  # as on the chain: nobody is told
        if inner.nonce != nonces.get(inner.signer, 0):
            return []
        nonces[inner.signer] = inner.nonce + 1
        return [inner]

    def _append(self, block: Block) -> None:
        self._blocks[block.number] = block
        self._hashes.append(block.hash)
        self._numbers[block.hex] = block.number
        self._blocks.pop(block.number - KEPT, None)
        self._oldest = max(self._oldest, block.number - KEPT + 1)


def _hash(parent: bytes, number: int) -> bytes:
    """A block's hash: of its parent and height alone, so that it can be computed again."""
    return blake2(parent + number.to_bytes(8, "little"))
