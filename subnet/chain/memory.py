"""The chain in memory, for tests of what stands above it: the rules of the development chain without wire and keys.

Several `MemoryChain`s, one per hotkey, share one `MemorySubnet`. Blocks come only when `advance` is called.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from ipaddress import ip_address

from subnet.chain.commitments import NO_PALLET, fields_of, text_of, too_large
from subnet.chain.devnode.ledger.commitments import set_commitment
from subnet.chain.devnode.ledger.epoch import Opened, on_block
from subnet.chain.devnode.ledger.genesis import RAO, Genesis
from subnet.chain.devnode.ledger.rules import (
    COMMIT_VERSION,
    blocks_until_serving,
    blocks_until_weights,
    burned_register,
    commit_weights,
    serve_axon,
    set_weights,
)
from subnet.chain.devnode.ledger.state import AxonRow, Commit, Refused, Row, SubnetState, initial
from subnet.chain.receipts import TOO_EARLY
from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError, ChainTimeout, SettingsError
from subnet.types import U16, Endpoint, Hyperparameters, Neuron, Receipt, Snapshot, Statement, Submission


class MemorySubnet:
    """The shared state. Transactions go into the next block: each one makes a block, as an instant-seal node does."""

    def __init__(self, genesis: Genesis, *, commitments: bool = True, salt: str = "", finality_lag: int = 0) -> None:
        """Without `commitments` there is no pallet for them; `salt` makes the hashes of blocks others.

        The last `finality_lag` blocks are not final: `fork` may take them back.
        """
        self.commitments, self.salt, self.finality_lag = commitments, salt, finality_lag
        self._states: list[SubnetState] = [initial(genesis)]
        self._grown = asyncio.Condition()

    @property
    def block(self) -> int:
        return len(self._states) - 1

    @property
    def final(self) -> int:
        return max(0, self.block - self.finality_lag)

    @property
    def state(self) -> SubnetState:
        return self._states[-1]

    def at(self, block: int) -> SubnetState:
        """The state after an older block. Raises ChainError for a block that is not there."""
        if not 0 <= block <= self.block:
            raise ChainError(f"there is no block {block}; the head is {self.block}")
        return self._states[block]

    async def advance(self, blocks: int = 1) -> None:
        """Make empty blocks; epochs run when due."""
        for _ in range(blocks):
            await self._append(on_block(self.state, self.block + 1, _open))

    async def apply(self, call: Callable[[SubnetState, int], SubnetState]) -> int:
        """Make a block with one call in it and return its number. Raises Refused; the block is made all the same."""
        number = self.block + 1
        state = on_block(self.state, number, _open)
        try:
            after = call(state, number)
        except Refused:
            await self._append(state)
            raise
        await self._append(after)
        return number

    async def _append(self, state: SubnetState) -> None:
        self._states.append(state)
        async with self._grown:
            self._grown.notify_all()

    def fork(self, block: int) -> None:
        """The blocks behind `block` never were. Raises ChainError for one that is final."""
        if block < self.final:
            raise ChainError(f"block {self.final} is final, so no fork begins at block {block}")
        del self._states[block + 1 :]

    async def grown(self, block: int) -> None:
        """Wait until there is a block after `block`."""
        async with self._grown:
            await self._grown.wait_for(lambda: self.block > block)


class MemoryChain:
    """`Chain` as `hotkey` sees it. `version_key` goes with its weights; `watchdog` in seconds."""

    def __init__(self, subnet: MemorySubnet, hotkey: str, *, version_key: int = 0, watchdog: float = 120.0) -> None:
        self.subnet, self.hotkey = subnet, hotkey
        self._version_key, self._watchdog = version_key, watchdog

    async def snapshot(self, *, at: int | None = None) -> Snapshot:
        """Now, or as it stood in block `at`. Raises ChainError for a block that is not there."""
        state = self.subnet.state if at is None else self.subnet.at(at)
        rules = state.rules
        return Snapshot(
            netuid=state.netuid,
            block=self.subnet.block if at is None else at,
            neurons=tuple(_neuron(uid, row) for uid, row in enumerate(state.rows)),
            hyperparameters=Hyperparameters(
                tempo=rules.tempo,
                weights_rate_limit=rules.weights_rate_limit,
                version_key=rules.version_key,
                min_allowed_weights=rules.min_allowed_weights,
                max_weight_limit=rules.max_weight_limit,
                commit_reveal=rules.commit_reveal,
                immunity_period=rules.immunity_period,
            ),
        )

    async def final(self) -> int:
        return self.subnet.final

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        """Raises ValueError for weights that are all zero, negative or not finite.

        With commit-reveal they are committed, not sealed, and count from the epoch on in which they are due.
        """
        rows = normalise_u16(weights, max_weight_limit=self.subnet.state.rules.max_weight_limit)

        uids, values, key = list(rows), list(rows.values()), self._version_key

        def call(state: SubnetState, block: int) -> SubnetState:
            if state.rules.commit_reveal:
                data = json.dumps([uids, values, key]).encode()
                return commit_weights(state, self.hotkey, block, data=data, reveal_round=0, version=COMMIT_VERSION)
            return set_weights(state, self.hotkey, block, uids=uids, values=values, version_key=key)

        return await self._receipt(call, blocks_until_weights)

    async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
        """Now, or as they stood in block `at`. Raises ChainError for a block that is not there."""
        rows = (self.subnet.state if at is None else self.subnet.at(at)).rows
        return dict(rows[uid].weights) if 0 <= uid < len(rows) else {}

    async def commit(self, text: str) -> Receipt:
        """Say `text` on chain, as the development chain's rules allow."""
        if refusal := too_large(text):
            return refusal
        if not self.subnet.commitments:
            return NO_PALLET
        fields, size = [json.dumps(field) for field in fields_of(text)], len(text.encode())

        def call(state: SubnetState, block: int) -> SubnetState:
            return set_commitment(state, self.hotkey, block, fields, size)

        return await self._receipt(call, lambda state, uid, block: state.next_epoch() - block)

    async def commitment(self, hotkey: str, *, at: int | None = None) -> Statement | None:
        """Now, or as it stood in block `at`. Raises ChainError for a block that is not there."""
        committed = (self.subnet.state if at is None else self.subnet.at(at)).committed.get(hotkey)
        return Statement(text_of([json.loads(f) for f in committed.fields]), committed.block) if committed else None

    async def block_hash(self, block: int) -> str | None:
        """Of the number and the subnet's `salt` alone; None for a block that is not final."""
        if block > self.subnet.final:
            return None
        return "0x" + sha256(f"{self.subnet.salt} {block}".encode()).hexdigest()

    async def serve(self, endpoint: Endpoint) -> Receipt:
        """Raises SettingsError when the host is not an IP address."""
        try:
            address = ip_address(endpoint.host)
        except ValueError as error:
            raise SettingsError(f"axon.external_ip must be an IP address, not {endpoint.host!r}") from error
        neuron = (await self.snapshot()).neuron(self.hotkey)
        if neuron is not None and neuron.endpoint == endpoint:
            return Receipt(Submission.OK, block=self.subnet.block, message="already published")

        def call(state: SubnetState, block: int) -> SubnetState:
            row = AxonRow(block=block, version=1, ip=int(address), port=endpoint.port, ip_type=address.version)
            return serve_axon(state, self.hotkey, block, row)

        return await self._receipt(call, blocks_until_serving)

    async def register(self, coldkey: str) -> Receipt:
        """Take a uid for this hotkey."""
        return await self._receipt(lambda state, block: burned_register(state, coldkey, self.hotkey, block))

    async def _receipt(
        self,
        call: Callable[[SubnetState, int], SubnetState],
        wait: Callable[[SubnetState, int, int], int] | None = None,
    ) -> Receipt:
        try:
            return Receipt(Submission.OK, block=await self.subnet.apply(call))
        except Refused as refused:
            uid = self.subnet.state.uid(self.hotkey)
            if wait and uid is not None and refused.name in TOO_EARLY:
                blocks = max(1, wait(self.subnet.state, uid, self.subnet.block))
                return Receipt(Submission.TOO_EARLY, blocks=blocks, code=refused.name, message="rate limit")
            return Receipt(Submission.REJECTED, block=self.subnet.block, code=refused.name, message=refused.name)

    async def blocks(self) -> AsyncIterator[int]:
        """New numbers from now on. Raises ChainTimeout when none comes for `watchdog` seconds."""
        last = self.subnet.block
        while True:
            try:
                await asyncio.wait_for(self.subnet.grown(last), self._watchdog)
            except TimeoutError as error:
                raise ChainTimeout(f"no new block for {self._watchdog:g} s") from error
            last += 1
            yield last

    async def close(self) -> None:
        """Nothing to close."""


def _open(commit: Commit) -> Opened:
    uids, values, key = json.loads(commit.data)
    return uids, values, key


def _neuron(uid: int, row: Row) -> Neuron:
    return Neuron(
        uid=uid,
        hotkey=row.hotkey,
        coldkey=row.coldkey,
        stake=row.stake / RAO,
        permit=row.permit,
        endpoint=_endpoint(row.axon),
        last_update=row.last_update,
        registered_at=row.registered_at,
        incentive=row.incentive / U16,
        dividends=row.dividends / U16,
    )


def _endpoint(axon: AxonRow | None) -> Endpoint | None:
    if axon is None or axon.ip == 0:
        return None
    address = ip_address(axon.ip.to_bytes(4 if axon.ip_type == 4 else 16, "big"))
    return Endpoint(str(address), axon.port)
