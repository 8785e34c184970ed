"""Blocks: a pool of transactions, block production, and the state at every recent block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from subnet.chain.devnode.ledger.epoch import on_block
from subnet.chain.devnode.ledger.genesis import Genesis
from subnet.chain.devnode.ledger.rules import Refused
from subnet.chain.devnode.ledger.state import initial
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.runtime.block import Block
from subnet.chain.devnode.runtime.extrinsics import Extrinsic, InvalidTransaction, blake2, decode, dispatch, events
from subnet.chain.devnode.runtime.metadata import Metadata
from subnet.chain.devnode.runtime.reveal import Beacon

KEPT: Final = 4096  # blocks whose state can still be read


class StateDiscarded(Exception):
    """The block is older than the state that is kept, as on a node that prunes."""


class UnknownBlock(Exception):
    """No block has this hash."""


class DevChain:
    """The chain without its wire. `clock` gives unix seconds and stamps the blocks."""

    def __init__(self, genesis: Genesis, metadata: Metadata, clock: Callable[[], float]) -> None:
        self.metadata = metadata
        self.faults = Faults()
        self.beacon = Beacon()
        self._clock = clock
        first = blake2(genesis.to_json().encode())
        stamp = int(clock() * 1000)
        block = Block(number=0, hash=first, parent=bytes(32), state=initial(genesis), milliseconds=stamp)
        self._blocks: dict[int, Block] = {0: block}
        self._hashes: list[bytes] = [first]
        self._numbers: dict[str, int] = {block.hex: 0}
        self._pool: dict[str, Extrinsic] = {}

    @property
    def head(self) -> Block:
        return self._blocks[len(self._hashes) - 1]

    @property
    def finalized(self) -> Block:
        return self._blocks[max(0, self.head.number - self.faults.finality_lag)]

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
        """Take a transaction into the pool. Raises InvalidTransaction."""
        extrinsic = decode(self.metadata, raw, current=self.head.number, hash_of=self.hash_of)
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
        for extrinsic in self._ready(nonces, number):
            try:
                state = dispatch(state, extrinsic, number, self.faults.reject)
                outcomes.append(None)
            except Refused as refused:
                outcomes.append(refused.name)
            included.append(extrinsic)
        block = Block(
            number=number,
            hash=blake2(parent.hash + number.to_bytes(8, "little")),
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

    def _append(self, block: Block) -> None:
        self._blocks[block.number] = block
        self._hashes.append(block.hash)
        self._numbers[block.hex] = block.number
        self._blocks.pop(block.number - KEPT, None)
